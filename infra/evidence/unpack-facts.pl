#!/usr/bin/perl
# unpack-facts.pl IMAGE WORK: takes what dpkg and the packages' copyright files say out of an image, into WORK/tree. Runs in
# the sandbox, since programs that trust archives and file systems read here what strangers have made. IMAGE is a tar, a
# squashfs, or a disk (raw, or what qemu-img reads) with a plain ext file system or a squashfs on it, also compressed.
# Says "kiln-unread: WHY" and exits with 3 where an image is none of these.
use strict;
use warnings;
use JSON::PP;

our ($image, $work) = @ARGV;
my $tree = "$work/tree";
my @wanted = qw(var/lib/dpkg/status usr/lib/os-release usr/share/doc);

sub unread { print STDERR "kiln-unread: $_[0]\n"; exit 3 }

sub bytes_at {
    my ($file, $at, $count) = @_;
    open my $in, "<:raw", $file or unread("the image cannot be opened: $!");
    seek $in, $at, 0;
    read $in, my $bytes, $count;
    return $bytes // "";
}

# Of what is missing in an image the programs complain, and end as if something were wrong.
sub try_ { return system("sh", "-c", 'exec "$@" >/dev/null 2>&1', "sh", @_) == 0 }

sub said { open my $from, "-|", "sh", "-c", 'exec "$@" 2>/dev/null', "sh", @_ or return ""; local $/; return scalar <$from> // "" }

my %packers = ("\x28\xb5\x2f\xfd" => "zstd", "\x1f\x8b" => "gzip", "\xfd7zX" => "xz");

sub unpacked {
    for my $magic (keys %packers) {
        next if bytes_at($image, 0, length $magic) ne $magic;
        # As a disk has it, what is empty takes no room.
        try_("bash", "-c", 'set -o pipefail; "$0" -dc <"$1" | cp --sparse=always /dev/stdin "$2"', $packers{$magic}, $image, "$work/unpacked") or unread("it cannot be unpacked");
        $image = "$work/unpacked";
    }
}

sub from_tar {
    my @patterns = map { ("./$_", $_) } qw(var/lib/dpkg/status usr/lib/os-release usr/share/doc/*/copyright);
    try_("tar", "-x", "-C", $tree, "--no-same-owner", "--no-same-permissions", "--anchored", "--wildcards", "--no-wildcards-match-slash", "-f", $image, "--", @patterns);
}

sub from_squashfs {
    my ($at) = @_;
    try_("unsquashfs", "-q", "-n", "-no-xattrs", "-f", "-o", $at, "-d", $tree, $image, @wanted);
}

sub from_ext {
    my ($at) = @_;
    for my $path (@wanted) {
        my ($folder) = $path =~ m{^(.*)/};
        try_("mkdir", "-p", "$tree/$folder");
        try_("debugfs", "-R", "rdump /$path $tree/$folder", "$image?offset=$at");
    }
}

sub from_disk {
    my $format = (eval { decode_json(said("qemu-img", "info", "--output=json", $image)) } // {})->{format} // "raw";
    if ($format ne "raw") {
        try_("qemu-img", "convert", "-f", $format, "-O", "raw", $image, "$work/disk") or unread("a disk of the format $format cannot be read here");
        $image = "$work/disk";
    }
    my $table = (eval { decode_json(said("sfdisk", "-J", $image)) } // {})->{partitiontable};
    my $sector = ($table // {})->{sectorsize} // 512;
    my @starts = $table ? map { $_->{start} * $sector } @{ $table->{partitions} // [] } : (0);
    my $read = 0;
    for my $at (@starts) {
        if (bytes_at($image, $at + 1080, 2) eq "\x53\xef") { from_ext($at); $read++ }
        elsif (bytes_at($image, $at, 4) eq "hsqs") { from_squashfs($at); $read++ }
        last if -e "$tree/var/lib/dpkg/status";
    }
    $read > 0 or unread("on its disk is no file system that can be read here");
}

mkdir $tree or die "$tree: $!\n";
unpacked();
if (bytes_at($image, 257, 5) eq "ustar") { from_tar() }
elsif (bytes_at($image, 0, 4) eq "hsqs") { from_squashfs(0) }
else { from_disk() }
unlink "$work/unpacked", "$work/disk";
