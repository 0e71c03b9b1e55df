use IO::Socket::INET;
my ($vip, $port, $server, $own) = @ARGV;
my $sock = IO::Socket::INET->new(PeerAddr => $server, PeerPort => $own, Timeout => 2) or exit(1);
print $sock "well\n";
shutdown($sock, 1);
my $said = <$sock> // "";
exit($said =~ /fine/ ? 0 : 1);
