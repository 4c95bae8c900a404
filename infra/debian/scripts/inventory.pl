#!/usr/bin/perl
# inventory.pl TREE OUT: what dpkg says is installed in the tree, what the tree is, and the copyright files of packages.
# It goes into the tree first, so that no link of a package leads out of it, and runs and loads nothing from there.
# OUT has for each file a line "<bytes> <path>", its bytes, and a line end.
use strict;
use warnings;
use Fcntl qw(O_RDONLY O_NONBLOCK);

my ($tree, $out) = @ARGV;
my ($largest, $left) = (8 << 20, 60 << 20);
open my $facts, ">:raw", $out or die "$out: $!\n";
chroot $tree or die "chroot: $!\n";
chdir "/" or die "chdir: $!\n";

sub tell_of {
    my ($path) = @_;
    # A package may have put anything there: a pipe would have no end.
    sysopen my $in, $path, O_RDONLY | O_NONBLOCK or return;
    return unless -f $in;
    binmode $in;
    my $size = -s _;
    return if $size > $largest || $size > $left;
    my $text = "";
    my $got = read $in, $text, $size;
    return unless defined $got && $got == $size;
    $left -= $size;
    print $facts "$size $path\n", $text, "\n" or die "$out: $!\n";
}

tell_of("/var/lib/dpkg/status");
tell_of("/usr/lib/os-release");
if (opendir my $docs, "/usr/share/doc") {
    tell_of("/usr/share/doc/$_/copyright") for sort grep { /^[a-z0-9][a-z0-9+.-]*\z/ } readdir $docs;
}
close $facts or die "$out: $!\n";
