#!/usr/bin/perl
# enter-tree.pl [--proc] TREE PROGRAM ARGUMENT…
# In the sandbox: runs a program of a tree with the tree as its whole world. Not chroot, from which root finds the way
# out: outside of the tree there is nothing for it, no mount and no process. Whatever it started ends with it.
#   --proc   with /proc, of its own processes only
use strict;
use warnings;
use lib __FILE__ =~ m{^(.*)/};
use Kernel;

my $proc = @ARGV && $ARGV[0] eq "--proc" && shift;
my $tree = shift;
@ARGV or exit 125;
my $parent = getppid;
into(qw(mount pid));
end_with_parent($parent);
as_first_of(0);
mount_at($tree, $tree, "none", ["bind", "rec"], "") or fail("mount $tree");
mount_at("proc", "$tree/proc", "proc", [qw(nosuid nodev noexec)], "") or fail("mount /proc") if $proc;
make_root($tree);

# What scripts of packages need and no more: files and owners (0, 1, 3, 4, 31), other ids (5 to 8), chroot (18), audit (29).
my %kept = map { $_ => 1 } 0, 1, 3 .. 8, 18, 29, 31;
drop_capabilities(grep { !$kept{$_} } 0 .. 63);
exec { $ARGV[0] } @ARGV or print(STDERR "kiln sandbox: no program \"$ARGV[0]\": $!\n"), exit(127);
