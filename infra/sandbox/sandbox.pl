#!/usr/bin/perl
# sandbox.pl [--ids FIRST] [--read PATH]… [--write PATH]… [--processes N] [--memory BYTES] [--file BYTES] [--cgroup DIR]
#   [--network yes] -- PROGRAM ARGUMENT…
# Runs a program as root of namespaces of its own, without a network. Of this machine it sees the programs below /usr,
# what those need of /etc, and the paths it is given, at their own names. Nothing that runs in there can do more.
#   --ids    for a caller that is root: ids from FIRST on stand for those from 0 on. What may be written is given to them.
#            Without it the caller has mapped ids already (unshare --user --map-root-user --map-auto).
#   --processes, --memory, --file: at most so many at once, so much memory for each, such a size of a file.
#   --cgroup the control group that all of it is to be in.
#   --network with this machine's network, and what programs need to find and to trust other machines.
use strict;
use warnings;
use lib __FILE__ =~ m{^(.*)/};
use Kernel;

my %given = (ids => [], read => [], write => [], processes => [], memory => [], file => [], cgroup => [], network => []);
while (@ARGV && (my $option = shift) ne "--") {
    my $values = $option =~ /^--(\w+)$/ && $given{$1} or die "kiln sandbox: unknown option $option\n";
    push @$values, shift // die "kiln sandbox: $option needs a value\n";
}
@ARGV or die "kiln sandbox: no program\n";
my ($first) = @{ $given{ids} };
my @read = @{ $given{read} };
my @write = @{ $given{write} };
my %most = map { $_ => $given{$_}[0] } qw(processes memory file);
my $parent = getppid;
my $folder = readlink("/proc/self/cwd") // "/";
umask 022;
for my $group (@{ $given{cgroup} }) {
    open my $members, ">", "$group/cgroup.procs" or fail($group);
    defined syswrite $members, "0" or fail($group);
}

# Seen from here all paths can be reached; whoever runs in there may not even pass the folders that lead to them.
into("mount");
mount_at("none", "/", "none", ["rec", "private"], "") or fail("mount /");
my @paths = (@read, @write);
my ($root) = grep { my $dir = $_; -d $dir && !-l $dir && !grep { "$_/" =~ m{^\Q$dir\E/} } @paths } qw(/mnt /media /srv /opt /sys);
defined $root or die "kiln sandbox: no folder to mount on\n";
mount_at("kiln", $root, "tmpfs", ["nosuid", "nodev"], "size=16M,mode=755") or fail("mount $root");

sub make_folder {
    my ($path) = @_;
    return if -d $path;
    make_folder($path =~ s{/[^/]+$}{}r);
    mkdir $path or fail($path);
}

sub give {
    my ($path, @attributes) = @_;
    my $place = "$root$path";
    if (-d $path) {
        make_folder($place);
    } else {
        make_folder($place =~ s{/[^/]+$}{}r);
        open my $file, ">>", $place or fail($place);
    }
    mount_at($path, $place, "none", ["bind", "rec"], "") or fail("mount of $path");
    seal($place, @attributes) or fail("sealing $path") if @attributes;
}

for my $path ("/usr", "/bin", "/sbin", glob("/lib*")) {
    if (-l $path) {
        symlink readlink $path, "$root$path" or fail("link $path");
    } elsif (-d $path) {
        give($path, qw(ro nosuid nodev));
    }
}
for my $name (qw(alternatives dpkg/origins group ld.so.cache ld.so.conf ld.so.conf.d login.defs mke2fs.conf nsswitch.conf passwd)) {
    give("/etc/$name", qw(ro nosuid nodev)) if -e "/etc/$name";
}
if (@{ $given{network} }) {
    give($_, qw(ro nosuid nodev)) for grep { -e } "/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs", "/etc/gai.conf";
}
make_folder("$root/$_") for qw(dev etc/apt/apt.conf.d etc/apt/trusted.gpg.d proc root run tmp var/lib/dpkg var/tmp);
for (["hostname", "localhost\n"], ["resolv.conf", ""]) {
    next if -e "$root/etc/$_->[0]";
    open my $file, ">", "$root/etc/$_->[0]" or fail("/etc/$_->[0]");
    print $file $_->[1];
}
mount_at("kiln", "$root/tmp", "tmpfs", [qw(nosuid nodev)], "size=64M,mode=1777") or fail("mount /tmp");
mount_at("kiln", "$root/dev", "tmpfs", [qw(nosuid noexec)], "size=64M,mode=755") or fail("mount /dev");
give("/dev/$_") for qw(full null random tty urandom zero);
open my $console, ">", "$root/dev/console" or fail("/dev/console");
mount_at("/dev/null", "$root/dev/console", "none", ["bind"], "") or fail("mount /dev/console");
mkdir "$root/dev/$_" for qw(pts shm);
chmod 01777, "$root/dev/shm";
symlink $_->[1], "$root/dev/$_->[0]"
    for ["ptmx", "pts/ptmx"], ["fd", "/proc/self/fd"], ["stdin", "fd/0"], ["stdout", "fd/1"], ["stderr", "fd/2"];
give($_, qw(ro nosuid nodev)) for @read;
give($_, qw(nodev)) for @write;

if (defined $first) {
    system("chown", "-hR", "--", "$first:$first", @write) == 0 or exit(125) if @write && $first != 0;
    into_with_ids($first || undef);
    as_root();
}

# Two user namespaces: the limits of the outer one hold for all that is in the inner one, whatever ids it takes on there,
# and there are to be no others.
limit("processes", $most{processes}) if $most{processes};
if (open my $nested, ">", "/proc/sys/user/max_user_namespaces") {
    syswrite $nested, "1";
}
into_with_ids(undef, qw(mount pid ipc uts cgroup), @{ $given{network} } ? () : "net");
end_with_parent($parent);
as_first_of(1);

# What was mounted outside cannot be taken apart in here, so a mount of this place is what becomes the root.
mount_at($root, $root, "none", ["bind", "rec"], "") or fail("mount $root");
mount_at("proc", "$root/proc", "proc", [qw(nosuid nodev noexec)], "") or fail("mount /proc");
mount_at("devpts", "$root/dev/pts", "devpts", [qw(nosuid noexec)], "newinstance,ptmxmode=0666,mode=620") or fail("mount /dev/pts");
make_root($root);
chdir $folder;

# The same for every worker: packages write down what their machine is called.
name_machine("localhost");
setpriority(0, 0, 5);
if (open my $score, ">", "/proc/self/oom_score_adj") {
    syswrite $score, "1000";
}
limit("core", 0);
limit("data", $most{memory}) if $most{memory};
limit("file", $most{file}) if $most{file};
exec { $ARGV[0] } @ARGV or print(STDERR "kiln sandbox: no program \"$ARGV[0]\": $!\n"), exit(127);
