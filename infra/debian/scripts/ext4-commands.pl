#!/usr/bin/perl
# ext4-commands.pl TREE EPOCH VALUES: what makes debugfs put TREE into an empty ext4, for a debugfs that runs in TREE.
# mke2fs -d takes a folder in the order in which the file system lists it, which is another on every kind of file system;
# here all goes by name, so that the same tree gives the same disk wherever it lies. Inodes are given out one after the
# other, from 12 on; VALUES/last says which was the last. VALUES, an absolute path, is also for extended attributes. Nothing
# gets a later time than EPOCH.
use strict;
use warnings;
use Config;
use Fcntl qw(S_ISDIR S_ISREG S_ISLNK S_ISFIFO S_ISCHR S_ISBLK S_IFMT);

my ($tree, $epoch, $values) = @ARGV;
my ($root, $lost_and_found, $first) = (2, 11, 12);
my ($list_attributes, $get_attribute) = $Config{archname} =~ /^x86_64/ ? (195, 192) : (12, 9);
my ($next, $value_number) = ($first, 0);
my (%links, %linked, @folders);
binmode STDOUT;

sub refuse {
    my ($path) = @_;
    print STDERR "kiln-user-error files: a name or a link of the image cannot be put on a disk: $path\n";
    exit 3;
}

# debugfs reads lines; a quote within quotes is written twice.
sub quoted {
    my ($text, $path) = @_;
    refuse($path =~ s/[^ -~]/?/gr) if $text =~ /[\n\r]/ || length $text > 4096;
    return '"' . $text =~ s/"/""/gr . '"';
}

# Asked for without following a link. The kernel takes strings by their address: they must be variables.
sub attributes_of {
    my ($inode, $path) = @_;
    my $names = "\0" x 4096;
    my $length = syscall($list_attributes, $path, $names, length $names);
    return if $length <= 0;
    for my $name (sort split /\0/, substr $names, 0, $length) {
        my $value = "\0" x 65536;
        my $size = syscall($get_attribute, $path, $name, $value, length $value);
        next if $size < 0;
        my $file = "$values/" . $value_number++;
        open my $out, ">:raw", $file or die "$file: $!\n";
        print $out substr $value, 0, $size or die "$file: $!\n";
        close $out or die "$file: $!\n";
        print "ea_set -f $file <$inode> ", quoted($name, $path), "\n";
    }
}

sub set {
    my ($inode, %fields) = @_;
    print "sif <$inode> $_ $fields{$_}\n" for sort keys %fields;
}

sub describe {
    my ($inode, $path, $mode, $uid, $gid, $mtime) = @_;
    set($inode, mode => sprintf("0%o", $mode), mtime => "\@" . ($mtime > $epoch ? $epoch : $mtime));
    set($inode, uid => $uid) if $uid;
    set($inode, gid => $gid) if $gid;
    attributes_of($inode, $path);
}

sub put {
    my ($path, $name) = @_;
    my ($dev, $ino, $mode, $nlink, $uid, $gid, $rdev, undef, undef, $mtime) = lstat $path or die "$path: $!\n";
    my $as = quoted($name, $path);
    if (!S_ISDIR($mode) && $nlink > 1) {
        if (my $inode = $linked{"$dev:$ino"}) {
            print "ln <$inode> $as\n";
            $links{$inode}++;
            return;
        }
        $linked{"$dev:$ino"} = $next;
        $links{$next} = 1;
    }
    if (S_ISDIR($mode)) {
        print "mkdir $as\n";
        push @folders, [$next, $path];
    } elsif (S_ISREG($mode)) {
        print "write ", quoted($path, $path), " $as\n";
    } elsif (S_ISLNK($mode)) {
        print "symlink $as ", quoted(readlink($path) // die("$path: $!\n"), $path), "\n";
    } elsif (S_ISFIFO($mode)) {
        print "mknod $as p\n";
    } elsif (S_ISCHR($mode) || S_ISBLK($mode)) {
        print "mknod $as ", S_ISCHR($mode) ? "c" : "b", " ", ($rdev >> 8) & 0xfff, " ", ($rdev & 0xff) | (($rdev >> 12) & 0xfff00), "\n";
    } else {
        return;
    }
    describe($next++, $path, $mode, $uid, $gid, $mtime);
}

chdir $tree or die "$tree: $!\n";
my (undef, undef, $mode, undef, $uid, $gid, undef, undef, undef, $mtime) = lstat ".";
describe($root, ".", $mode, $uid, $gid, $mtime);
for my $inode ($root, $lost_and_found) {
    set($inode, map { ($_ => "\@$epoch", "${_}_extra" => 0) } qw(atime ctime crtime));
}
set($lost_and_found, mtime => "\@$epoch");
@folders = ([$root, "."]);
while (my $folder = shift @folders) {
    my ($inode, $path) = @$folder;
    opendir my $dir, $path or die "$path: $!\n";
    my @names = sort grep { $_ ne "." && $_ ne ".." && !($inode == $root && $_ eq "lost+found") } readdir $dir;
    print "cd <$inode>\n" if @names;
    put("$path/$_", $_) for @names;
}
set($_, links_count => $links{$_}) for grep { $links{$_} > 1 } sort { $a <=> $b } keys %links;
open my $last, ">", "$values/last" or die "$values/last: $!\n";
print $last $next - 1, "\n";
close $last or die "$values/last: $!\n";
close STDOUT or die "$!\n";
