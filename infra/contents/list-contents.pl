#!/usr/bin/perl
# list-contents.pl IMAGE WORK: what is in an image, a JSON document a line. Runs in the sandbox: file systems that
# strangers have made are read by programs that trust them. IMAGE is a disk (raw, or what qemu-img reads), a file system, a
# squashfs or a tar, also compressed.
#   {"about": "the partition table", "fact": TEXT}      {"part": NAME, "path": PATH, "type": …, "mode": …, …}
use strict;
use warnings;
use Archive::Tar;
use Digest::SHA;
use Fcntl qw(:mode);
use File::Find;
use JSON::PP;

my ($image, $work) = @ARGV;
my $json = JSON::PP->new->canonical->utf8(0);
binmode STDOUT;

sub say_ { print $json->encode($_[0]), "\n" }

sub bytes_at {
    my ($file, $at, $count) = @_;
    open my $in, "<:raw", $file or die "$file: $!\n";
    seek $in, $at, 0;
    read $in, my $bytes, $count;
    return $bytes // "";
}

sub run {
    my ($what, @command) = @_;
    open my $out, "-|", @command or die "$what: $!\n";
    local $/;
    my $said = <$out>;
    close $out or die "$what failed\n";
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
    my $next = Archive::Tar->iter($file, 0) or die "no tar\n";
    while (my $member = $next->()) {
        my $type = $tar_type{ $member->type } // "special";
        my $path = $member->full_path;
        $path =~ s{^(\./|/)}{};
        say_({ part => "archive", path => "/$path", type => $type, mode => sprintf("%04o", $member->mode & 07777), owner => $member->uid . ":" . $member->gid,
            time => $member->mtime, $type eq "file" ? (size => $member->size, sha256 => Digest::SHA::sha256_hex($member->get_content // "")) : (),
            $type =~ /link/ ? (target => $member->linkname) : () });
    }
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
for my $magic (keys %unpack) {
    next if bytes_at($image, 0, length $magic) ne $magic;
    system("$unpack{$magic} -dc <'$image' >'$work/unpacked'") == 0 or die "unpacking failed\n";
    $image = "$work/unpacked";
    last;
}
if (bytes_at($image, 257, 5) eq "ustar") {
    list_tar($image);
} elsif (bytes_at($image, 0, 4) eq "hsqs") {
    run("reading squashfs", "unsquashfs", "-q", "-n", "-no-xattrs", "-d", "$work/squashfs", $image);
    list_folder("squashfs", "$work/squashfs");
} else {
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
}
