#!/usr/bin/perl
# list-contents.pl IMAGE WORK: what is in an image, a JSON document a line. Runs in the sandbox: file systems that
# strangers have made are read by programs that trust them. IMAGE is a disk (raw, or what qemu-img reads), a file system, a
# squashfs, an ISO or a tar, also compressed; what an archive holds of these is listed too, behind the member's name.
#   {"about": "the partition table", "fact": TEXT}      {"part": NAME, "path": PATH, "type": …, "mode": …, …}
use strict;
use warnings;
use Archive::Tar;
use Digest::SHA;
use Fcntl qw(:mode);
use File::Find;
use JSON::PP;

our ($image, $work) = @ARGV;
my $json = JSON::PP->new->canonical->utf8(0);
binmode STDOUT;
our ($out, $within) = (\*STDOUT, "");

sub say_ {
    my ($said) = @_;
    $said->{$_} = "$within$said->{$_}" for grep { exists $said->{$_} } qw(part about);
    print $out $json->encode($said), "\n";
}

sub bytes_at {
    my ($file, $at, $count) = @_;
    open my $in, "<:raw", $file or die "$file: $!\n";
    seek $in, $at, 0;
    read $in, my $bytes, $count;
    return $bytes // "";
}

sub run {
    my ($what, @command) = @_;
    open my $from, "-|", @command or die "$what: $!\n";
    local $/;
    my $said = <$from>;
    close $from or die "$what failed\n";
    return $said // "";
}

sub digest_of {
    my ($file, $at, $count) = @_;
    open my $in, "<:raw", $file or die "$file: $!\n";
    seek $in, $at // 0, 0;
    my $sha = Digest::SHA->new(256);
    while (!defined $count || $count > 0) {
        my $length = read $in, my $bytes, defined $count && $count < 1 << 20 ? $count : 1 << 20;
        last if !$length;
        $sha->add($bytes);
        $count -= $length if defined $count;
    }
    return $sha->hexdigest;
}

sub list_folder {
    my ($part, $folder) = @_;
    find({ no_chdir => 1, wanted => sub {
        my ($mode, $uid, $gid, $size, $time) = (lstat $_)[2, 4, 5, 7, 9];
        my $path = substr($_, length $folder) || "/";
        my $type = S_ISREG($mode) ? "file" : S_ISDIR($mode) ? "folder" : S_ISLNK($mode) ? "link" : "special";
        say_({ part => $part, path => $path, type => $type, mode => sprintf("%04o", $mode & 07777), owner => "$uid:$gid",
            # debugfs makes links anew.
            $type ne "link" ? (time => $time) : (),
            $type eq "file" ? (size => $size, sha256 => digest_of($_)) : (), $type eq "link" ? (target => readlink $_) : () });
    } }, $folder);
}

my %tar_type = (0 => "file", "" => "file", 1 => "hard link", 2 => "link", 5 => "folder");

sub list_tar {
    my ($file) = @_;
    my %held = $within eq "" ? held_by($file) : ();
    # Without its zeros: what reads the others does not know how that is written.
    if (bytes_at($file, 156, 1) eq "S") {
        my ($mode, $uid, $gid) = map { oct(bytes_at($file, $_, 7) =~ s/\0.*//sr) } 100, 108, 116;
        my @names = split /\n/, run("reading the archive", "tar", "-t", "--quoting-style=escape", "-f", $file);
        say_({ part => "archive", path => "/$_", type => "file", mode => sprintf("%04o", $mode & 07777), owner => "$uid:$gid" }) for @names;
    } else {
        list_members($file, \%held);
    }
    look_into($file, $_, $held{$_}) for sort keys %held;
}

# What is looked into counts by what is in it, not by its bytes, and is never read into memory.
sub list_members {
    my ($file, $held) = @_;
    my @held;
    my $next = Archive::Tar->iter($file, 0, { filter_cb => sub {
        my ($member) = @_;
        return 1 if !$held->{ $member->full_path };
        # A link's target says it all.
        delete $held->{ $member->full_path }, return 1 if ($tar_type{ $member->type } // "") ne "file";
        push @held, $member if !grep { $_->full_path eq $member->full_path } @held;
        return 0;
    } }) or die "no tar\n";
    while (my $member = $next->()) { say_(entry_of($member)) }
    say_({ %{ entry_of($_, 1) }, path => "/$held->{ $_->full_path }" }) for @held;
}

sub entry_of {
    my ($member, $is_held) = @_;
    my $type = $tar_type{ $member->type } // "special";
    my $path = $member->full_path;
    $path =~ s{^(\./|/)}{};
    return { part => "archive", path => "/$path", type => $type, mode => sprintf("%04o", $member->mode & 07777), owner => $member->uid . ":" . $member->gid,
        time => $member->mtime,
        $type eq "file" && !$is_held ? (size => $member->size, sha256 => Digest::SHA::sha256_hex($member->get_content // "")) : (),
        $type =~ /link/ ? (target => $member->linkname) : () };
}

# Members that are images themselves, by the names that our archives have for them, and what to call them. Layers are
# called by their order: their own names are their digests.
sub held_by {
    my ($file) = @_;
    my @names = split /\n/, run("reading the archive", "tar", "-t", "--quoting-style=escape", "-f", $file);
    my %held = map { ($_ => s{^\./}{}r) } grep { m{^(\./)?(disk\.raw|disk\.vmdk|root\.squashfs)$} } @names;
    return %held if !grep({ $_ eq "oci-layout" } @names) || !grep { $_ eq "manifest.json" } @names;
    my $layers = eval { decode_json(run("reading the layers", "tar", "-x", "-O", "-f", $file, "--", "manifest.json"))->[0]{Layers} };
    my ($number, %named) = (0, map { $_ => 1 } @names);
    $held{$_} //= "layer " . ++$number for grep { $named{$_} && m{^blobs/sha256/[0-9a-f]{64}$} && $number < 64 } ref $layers eq "ARRAY" ? @$layers : ();
    return %held;
}

my $members = 0;
my $most = 2**40;

# Into a folder of its own. Of what cannot be read as an image the bytes are all there is to say.
sub look_into {
    my ($archive, $member, $name) = @_;
    my $folder = "$work/member-" . ++$members;
    mkdir $folder or die "$folder: $!\n";
    run("unpacking $name", "tar", "-x", "-C", $folder, "--no-same-owner", "--no-same-permissions", "-f", $archive, "--", $member);
    look_at("$folder/$member", $name, $folder);
    system "rm", "-rf", "--", $folder;
}

sub look_at {
    my ($file, $name, $folder) = @_;
    die "$name is no file\n" if -l $file || !-f $file || -s $file > $most;
    my $said = "";
    open my $buffer, ">", \$said or die "$!\n";
    my $is_read = eval {
        local ($out, $within, $work) = ($buffer, "$within$name:", "$folder/parts");
        mkdir $work or die "$work: $!\n";
        list_image($file);
        1;
    };
    close $buffer;
    if ($is_read) { print $out $said } else { say_({ about => "the bytes of $name", fact => digest_of($file) }) }
}

sub list_iso {
    my ($disk) = @_;
    my $folder = "$work/iso";
    run("reading ISO 9660", "sh", "-c", 'exec xorriso -osirrox on -indev "$0" -extract / "$1" 2>/dev/null', $disk, $folder);
    list_folder("iso", $folder);
    look_at("$folder/live/filesystem.squashfs", "filesystem.squashfs", $work) if $within eq "" && -f "$folder/live/filesystem.squashfs";
}

sub list_file_system {
    my ($part, $disk, $at, $size) = @_;
    (my $name = $part) =~ s/\W/_/g;
    my $folder = "$work/$name";
    mkdir $folder or die "$folder: $!\n";
    if (bytes_at($disk, $at + 1080, 2) eq "\x53\xef") {
        run("reading ext4", "debugfs", "-R", "rdump / $folder", "$disk?offset=$at");
        list_folder($part, $folder);
    } elsif (bytes_at($disk, $at + 82, 5) eq "FAT32" || bytes_at($disk, $at + 54, 3) eq "FAT") {
        $ENV{MTOOLS_SKIP_CHECK} = 1;
        run("reading FAT", "mcopy", "-s", "-m", "-n", "-i", "$disk\@\@$at", "::/", $folder);
        list_folder($part, $folder);
    } else {
        say_({ about => "the bytes of $part", fact => digest_of($disk, $at, $size) });
    }
}

my %unpack = ("\x28\xb5\x2f\xfd" => "zstd", "\x1f\x8b" => "gzip", "\xfd7zX" => "xz");

sub list_image {
    my ($image) = @_;
    for my $magic (keys %unpack) {
        next if bytes_at($image, 0, length $magic) ne $magic;
        # One byte more than is allowed, which tells that it is too many.
        run("unpacking", "bash", "-c", 'set -o pipefail; "$0" -dc <"$1" | head -c "$2" >"$3"', $unpack{$magic}, $image, $most + 1, "$work/unpacked");
        $image = "$work/unpacked";
        die "it unpacks to more than can be looked at\n" if -s $image > $most;
        last;
    }
    if (bytes_at($image, 257, 5) eq "ustar") {
        list_tar($image);
    } elsif (bytes_at($image, 0, 4) eq "hsqs") {
        run("reading squashfs", "unsquashfs", "-q", "-n", "-no-xattrs", "-d", "$work/squashfs", $image);
        list_folder("squashfs", "$work/squashfs");
    } else {
        list_disk($image);
    }
}

sub list_disk {
    my ($image) = @_;
    my $found = decode_json(run("looking at the image", "qemu-img", "info", "--output=json", $image))->{format};
    if ($found ne "raw") {
        run("reading $found", "qemu-img", "convert", "-f", $found, "-O", "raw", $image, "$work/disk");
        $image = "$work/disk";
    }
    my $table = eval { decode_json(run("partitions", "sh", "-c", 'sfdisk -J "$0" 2>/dev/null', $image))->{partitiontable} };
    say_({ about => "the size of the disk", fact => -s $image });
    if (!$table) {
        list_file_system("disk", $image, 0, -s $image);
    } else {
        say_({ about => "the partition table", fact => join " ", map { "$_=$table->{$_}" } grep { !ref $table->{$_} && $_ ne "device" } sort keys %$table });
        my $sector = $table->{sectorsize} // 512;
        say_({ about => "the boot sector", fact => digest_of($image, 0, 446) });
        my $number = 0;
        for my $item (@{ $table->{partitions} }) {
            my $name = $item->{name} // "partition " . ++$number;
            say_({ about => "partition $name", fact => join " ", map { "$_=$item->{$_}" } grep { $_ ne "node" } sort keys %$item });
            list_file_system($name, $image, $item->{start} * $sector, $item->{size} * $sector);
        }
    }
    # Besides its bytes: it need not be readable here.
    eval { list_iso($image) } if bytes_at($image, 32769, 5) eq "CD001";
}

list_image($image);
