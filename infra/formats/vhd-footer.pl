#!/usr/bin/perl
# vhd-footer.pl DISK ID: makes a raw disk a fixed VHD by the 512 bytes at its end. ID is 32 hexadecimal digits.
use strict;
use warnings;
my ($path, $id) = @ARGV;
my $size = -s $path;

# The geometry of the format's specification; readers that know better go by the size.
my ($sectors, $heads, $per_track) = ($size / 512, 16, 255);
$sectors = 65535 * 16 * 255 if $sectors > 65535 * 16 * 255;
my $tracks = int($sectors / $per_track);
if ($sectors < 65535 * 16 * 63) {
    $per_track = 17;
    $tracks = int($sectors / $per_track);
    $heads = int(($tracks + 1023) / 1024);
    $heads = 4 if $heads < 4;
    if ($tracks >= $heads * 1024 || $heads > 16) { ($per_track, $heads) = (31, 16); $tracks = int($sectors / $per_track) }
    if ($tracks >= $heads * 1024) { ($per_track, $heads) = (63, 16); $tracks = int($sectors / $per_track) }
}

# No time of making: 0 stands for the format's first second, in 2000. By the maker's name "qem2" readers know that the
# size is meant and not the geometry.
my $footer = sub {
    pack "a8 N N Q> N a4 N a4 Q> Q> n C C N N H32 x428", "conectix", 2, 0x10000, 0xffffffffffffffff, 0, "qem2", 0x50003,
        "Wi2k", $size, $size, int($tracks / $heads), $heads, $per_track, 2, $_[0], $id;
};
my $sum = 0;
$sum += $_ for unpack "C*", $footer->(0);
open my $disk, ">>:raw", $path or die "$path: $!\n";
print $disk $footer->(~$sum & 0xffffffff) or die "$path: $!\n";
close $disk or die "$path: $!\n";
