#!/usr/bin/perl
# vmdk-identity.pl VMDK ID: the content id that qemu-img takes by chance becomes the first digits of ID.
use strict;
use warnings;
my ($path, $id) = @ARGV;
open my $disk, "+<:raw", $path or die "$path: $!\n";
read $disk, my $header, 512 or die "$path: $!\n";
my ($magic, $offset, $length) = unpack "a4 x24 Q< Q<", $header;
die "$path: no VMDK with a description in it\n" unless $magic eq "KDMV" && $offset;
seek $disk, $offset * 512, 0 or die "$path: $!\n";
read $disk, my $text, $length * 512 or die "$path: $!\n";
$text =~ s/\0+$//;
# Neither 0 nor "no parent".
my $content = "5" . substr $id, 0, 7;
$text =~ s/^CID=[0-9a-f]+/CID=$content/m or die "$path: no content id\n";
seek $disk, $offset * 512, 0 or die "$path: $!\n";
print $disk pack "a" . $length * 512, $text or die "$path: $!\n";
close $disk or die "$path: $!\n";
