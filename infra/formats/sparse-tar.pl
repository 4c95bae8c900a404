#!/usr/bin/perl
# sparse-tar.pl DISK NAME: an archive of the old GNU kind with DISK as its one member, without its zeros. GNU tar takes
# holes from the file system, and so writes other bytes on another one; made to look for zeros, it takes a minute.
use strict;
use warnings;
use Errno;
my ($path, $name) = @ARGV;
my $block = 65536;
my $zeros = "\0" x $block;
my $size = -s $path;
open my $disk, "<:raw", $path or die "$path: $!\n";
binmode STDOUT;

# Runs of blocks that are not all zero.
my @runs;
for (my $at = 0; $at < $size; $at += $block) {
    # 3 asks for the next place with data; whoever cannot tell says so, and then all is read.
    my $data = sysseek $disk, $at, 3;
    last if !defined $data && $!{ENXIO};
    $at = int($data / $block) * $block if defined $data && $data >= $at + $block;
    sysseek $disk, $at, 0;
    sysread $disk, my $text, $block or die "$path: $!\n";
    next if $text eq substr $zeros, 0, length $text;
    if (@runs && $runs[-1][0] + $runs[-1][1] == $at) { $runs[-1][1] += length $text }
    else { push @runs, [$at, length $text] }
}
my $stored = 0;
$stored += $_->[1] for @runs;
push @runs, [$size, 0] unless @runs && $runs[-1][0] + $runs[-1][1] == $size;

# Octal, or binary where that has too few digits.
sub number { my ($value) = @_; $value < 8**11 ? sprintf("%011o\0", $value) : pack "C x3 Q>", 0x80, $value }
sub map_of { join "", map { number($_->[0]) . number($_->[1]) } @_ }

my @rest = @runs;
my $first = map_of(splice @rest, 0, 4);
my $header = pack "a100 a8 a8 a8 a12 a12 A8 a1 a100 a8 a32 a32 a16 x41 a96 C a12 x17",
    $name, "0000644\0", "0000000\0", "0000000\0", number($stored), number(0), "", "S", "", "ustar  \0", "", "", "",
    $first, @rest ? 1 : 0, number($size);
my $sum = 0;
$sum += $_ for unpack "C*", $header;
substr($header, 148, 8) = sprintf "%06o\0 ", $sum;
print $header;
while (my @next = splice @rest, 0, 21) { print pack "a504 C x7", map_of(@next), @rest ? 1 : 0 }
for (@runs) {
    my ($at, $left) = @$_;
    sysseek $disk, $at, 0;
    while ($left > 0) {
        my $read = sysread $disk, my $text, $left < 1 << 20 ? $left : 1 << 20 or die "$path: $!\n";
        print $text or die "writing: $!\n";
        $left -= $read;
    }
}
print "\0" x (-$stored % 512), "\0" x 1024 or die "writing: $!\n";
close STDOUT or die "writing: $!\n";
