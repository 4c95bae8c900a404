# What the kernel does for the programs of this folder, by number: neither perl nor the shell has words for all of it.
# No module is used that takes long to load: these programs begin with every step of every build.
package Kernel;
use strict;
use warnings;
use Config;
use Exporter "import";
our @EXPORT = qw(as_first_of as_root drop_capabilities end_with_parent fail into into_with_ids limit make_root mount_at name_machine seal);

my ($machine) = $Config{archname} =~ /^(\w+)/;
my %numbers = (
    x86_64  => { unshare => 272, mount => 165, umount2 => 166, pivot_root => 155, prctl => 157, prlimit64 => 302, sethostname => 170 },
    aarch64 => { unshare => 97,  mount => 40,  umount2 => 39,  pivot_root => 41,  prctl => 167, prlimit64 => 261, sethostname => 161 },
);
my $call = $numbers{$machine} or die "kiln sandbox: unknown machine $machine\n";
$call->{mount_setattr} = 442;

sub fail {
    my ($what) = @_;
    print STDERR "kiln sandbox: $what: $!\n";
    exit(125);
}

# Strings go as addresses, so they must be no constants; numbers must be numbers.
sub ask {
    my ($name, @values) = @_;
    return syscall($call->{$name}, @values) != -1;
}

sub all_of {
    my ($bits, @names) = @_;
    my $all = 0;
    $all |= $bits->{$_} for @names;
    return $all;
}

my %namespace = (user => 0x10000000, mount => 0x20000, uts => 0x4000000, ipc => 0x8000000, pid => 0x20000000,
    net => 0x40000000, cgroup => 0x2000000);

sub into {
    ask("unshare", all_of(\%namespace, @_)) or fail("no namespaces (@_)");
}

# A user namespace, and others that belong to it. Ids from $first on stand for those from 0 on, or, without $first, each
# for itself. That is written by a process that stays outside, since only there is the right to.
sub into_with_ids {
    my ($first, @others) = @_;
    my %ids = map { $_ => defined $first ? "0 $first 65536\n" : own_ids($_) } qw(uid_map gid_map);
    pipe(my $asked, my $ask) && pipe(my $told, my $tell) or fail("pipe");
    my $self = $$;
    my $outside = fork // fail("fork");
    if ($outside == 0) {
        close $ask;
        sysread $asked, my $byte, 1 or exit(1);
        for my $name (sort keys %ids) {
            open my $map, ">", "/proc/$self/$name" or fail($name);
            defined syswrite $map, $ids{$name} or fail($name);
        }
        syswrite $tell, "x";
        exit(0);
    }
    close $tell;
    into("user", @others);
    syswrite $ask, "x";
    my $done = sysread $told, my $byte, 1;
    waitpid $outside, 0;
    exit(125) unless $done;
}

# What is mapped in pieces can only be mapped on in the same pieces.
sub own_ids {
    my ($name) = @_;
    open my $map, "<", "/proc/self/$name" or fail($name);
    return join "", map { my ($inside, undef, $count) = split; "$inside $inside $count\n" } <$map>;
}

# Root of the user namespace that was gone into. The kernel then takes the process for one with secrets and keeps its
# files in /proc from itself, unless told otherwise.
sub as_root {
    $( = $) = "0 0";
    $< = $> = 0;
    $> == 0 && $( == 0 or fail("ids");
    ask("prctl", 4, 1, 0, 0, 0) or fail("prctl");
}

# Even a kill -9 of whoever began this ends it. Forgotten by the kernel whenever ids change.
sub end_with_parent {
    my ($parent) = @_;
    ask("prctl", 1, 9, 0, 0, 0) or fail("prctl");
    exit(137) if getppid() != $parent;
}

# Goes on as the first process of the process namespace that was gone into; whoever called waits and ends like it.
# Asked to end, he ends it where it would not hear of that itself; else he waits on, for the whole group has been asked.
sub as_first_of {
    my ($hears) = @_;
    my $child = fork // fail("fork");
    if ($child != 0) {
        $SIG{$_} = $hears ? "IGNORE" : sub { kill "KILL", $child } for qw(TERM INT HUP);
        1 while waitpid($child, 0) != $child;
        exit($? & 127 ? 128 + ($? & 127) : $? >> 8);
    }
    ask("prctl", 1, 9, 0, 0, 0) or fail("prctl");
}

my %mount = (ro => 1, nosuid => 2, nodev => 4, noexec => 8, bind => 0x1000, rec => 0x4000, private => 0x40000);

sub mount_at {
    my ($source, $target, $type, $flags, $options) = @_;
    return ask("mount", "$source", "$target", "$type", all_of(\%mount, @$flags), "$options");
}

# For everything that is mounted at a path and below it, on top of what holds there.
sub seal {
    my ($target, @attributes) = @_;
    return ask("mount_setattr", -100, "$target", 0x8000, pack("Q4", all_of(\%mount, @attributes), 0, 0, 0), 32);
}

# Nothing that lies outside of the folder, which must be a mount, can be reached any more, by whatever way.
sub make_root {
    my ($folder) = @_;
    my $here = ".";
    chdir $folder or fail("chdir $folder");
    ask("pivot_root", $here, $here) or fail("pivot_root $folder");
    ask("umount2", $here, 2) or fail("umount of the old root");
    chroot "." or fail("chroot");
    chdir "/" or fail("chdir /");
}

sub name_machine {
    my ($name) = @_;
    ask("sethostname", $name, length $name) or fail("sethostname");
}

my %resource = (file => 1, data => 2, core => 4, processes => 6);

sub limit {
    my ($name, $value) = @_;
    ask("prlimit64", 0, $resource{$name}, pack("Q2", $value, $value), 0) or fail("limit of $name");
}

# By number, as in linux/capability.h; gone for good with the next program that is run.
sub drop_capabilities {
    ask("prctl", 24, 0 + $_, 0, 0, 0) || $!{EINVAL} or fail("capability $_") for @_;
}
1;
