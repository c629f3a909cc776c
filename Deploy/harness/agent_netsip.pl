#!/usr/bin/perl
# usage: agent_netsip.pl caller HOST PORT PROXY_HOST:PORT TARGET_URI | callee HOST PORT
#
# A Net::SIP telephone told by lines on standard input (hold, hangup, quit), which says what it saw in lines that begin
# with `@`: ready, incoming, established, held, released. It answers what comes in. UDP.
use strict;
use warnings;
use Net::SIP;
use Net::SIP::Util 'create_socket_to';
$| = 1;

my ($role, $host, $port, $proxy, $target) = @ARGV;
my ($call, $over, $up) = (undef, 0, 0);
sub say_event { print "\@$_[0]\n" }

my $leg = Net::SIP::Leg->new(addr => $host, port => $port);
my $ua = Net::SIP::Simple->new(
    from => "sip:netsip\@$host:$port",
    legs => [$leg],
    $proxy ? (outgoing_proxy => $proxy) : (),
) or die "no telephone: $!";

my %media = (
    init_media => $ua->rtp('recv_echo'),
    # Asked for every INVITE that comes: within a call that is up it is a re-INVITE. The answer stays Net::SIP's own.
    cb_invite => sub { say_event('held') if $up; undef },
    recv_bye => sub { $up = 0; say_event('released') },
);

if ($role eq 'callee') {
    $ua->listen(
        %media,
        cb_create => sub { $call = $_[0]; say_event('incoming'); 1 },
        cb_established => sub { $call = $_[1]; say_event('established') unless $up++ },
    );
}
say_event('ready');

sub obey {
    my ($word, $rest) = split ' ', $_[0], 2;
    if ($word eq 'call') {
        chomp $rest;
        $call = $ua->invite($rest, %media, cb_final => sub {
            my ($status, $self, %info) = @_;
            $up = $status eq 'OK';
            say_event($up ? 'established' : "released " . ($info{code} // $status));
        }) or say_event('released: ' . $ua->error);
    } elsif ($word eq 'hold') {
        $call->reinvite(%media, cb_final => sub { say_event($_[0] eq 'OK' ? 'held' : "held not: $_[0]") });
    } elsif ($word eq 'hangup') {
        $call->bye(cb_final => sub { $up = 0; say_event('released') });
    } elsif ($word eq 'quit') {
        $over = 1;
    }
}

my $rest = '';
$ua->{loop}->addFD(\*STDIN, 0, [sub {
    my $count = sysread(STDIN, $rest, 4096, length $rest);
    if (!$count) { $over = 1; return }
    while ($rest =~ s/^([^\n]*)\n//) { obey($1) }
}], 'standard input');
$ua->loop(undef, \$over);
