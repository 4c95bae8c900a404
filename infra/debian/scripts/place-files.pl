#!/usr/bin/perl
# place-files.pl TREE: puts a request's files and links into the tree.
# It goes into the tree first, so that the kernel keeps every path and link beneath it, and then runs nothing and loads
# nothing from there: no program, no module, no lookup of names. That is why this is not a shell script.
use strict;
use warnings;
use Fcntl qw(O_WRONLY O_CREAT O_EXCL O_NOFOLLOW S_ISDIR);

my ($tree) = @ARGV;
my $input = "/run/kiln/input/custom";
chroot $tree or die "chroot: $!\n";
chdir "/" or die "chdir: $!\n";

sub refuse {
    my ($field, $why) = @_;
    print STDERR "kiln-user-error $field: $why\n";
    exit 3;
}

sub value {
    my ($file) = @_;
    open my $in, "<:raw", $file or return undef;
    local $/;
    my $text = <$in>;
    return defined $text ? $text : "";
}

sub entries {
    my ($folder) = @_;
    opendir my $dir, $folder or return;
    return map { "$folder/$_" } sort grep { !/^\./ } readdir $dir;
}

# The folders on the way to a place; those that are missing are made, unless the request says not to.
sub make_parents {
    my ($field, $path, $lone) = @_;
    my $folder = "";
    my @parts = split m{/}, substr($path, 1);
    pop @parts;
    for my $part (@parts) {
        $folder .= "/$part";
        next if -d $folder;
        refuse($field, "there is no directory \"$folder\" in the image, and ensure_parents is false") if $lone;
        mkdir $folder, 0755 or refuse($field, "\"$folder\" in the image cannot be a directory: $!");
    }
}

# The place for a file: its folders made, what stood there gone. A link there is taken away, not followed.
sub clear_place {
    my ($field, $path, $lone) = @_;
    make_parents($field, $path, $lone);
    refuse($field, "\"$path\" is a directory in the image") if -d $path;
    unlink $path or refuse($field, "\"$path\" in the image cannot be replaced: $!") if lstat $path;
}

sub owner {
    my ($kind, $entry) = @_;
    my ($number) = $entry =~ m{([0-9]+)$};
    return split /:/, value("/run/kiln/owners/$kind-$number");
}

umask 0022;
# What is there already is changed only as far as the request says.
for my $entry (entries("$input/directories")) {
    my ($path, $field, $mode) = map { value("$entry/$_") } qw(path field mode);
    make_parents("$field.path", $path, -e "$entry/lone");
    -d $path or mkdir $path, 0755 or refuse("$field.path", "\"$path\" in the image cannot be a directory: $!");
    chown owner("directories", $entry), $path or die "chown $path: $!\n";
    chmod oct $mode, $path or die "chmod $path: $!\n" if defined $mode;
}
for my $entry (entries("$input/files")) {
    my ($path, $field, $mode) = map { value("$entry/$_") } qw(path field mode);
    clear_place("$field.path", $path, -e "$entry/lone");
    open my $in, "<:raw", "$entry/data" or die "$entry: $!\n";
    sysopen my $out, $path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600 or refuse("$field.path", "\"$path\": $!");
    my $chunk;
    while (my $length = sysread $in, $chunk, 1 << 16) {
        for (my $done = 0; $done < $length;) {
            $done += syswrite($out, $chunk, $length - $done, $done) // die "$path: $!\n";
        }
    }
    # The owner first: changing it takes special bits of the mode away.
    chown owner("files", $entry), $out or die "chown $path: $!\n";
    chmod oct $mode, $out or die "chmod $path: $!\n";
    close $out or die "$path: $!\n";
}
for my $entry (entries("$input/links")) {
    my ($path, $target) = map { value("$entry/$_") } qw(path target);
    clear_place("services.enabled", $path);
    symlink $target, $path or refuse("services.enabled", "\"$path\": $!");
}
