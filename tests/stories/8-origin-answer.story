A route to the origin is answered with its addresses, and with no data for other types.

also live
network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
site shop: origin, then edge-one
  response_time under 150ms, p95 over 10min, 3 samples of 1 probe

at 0s   agent-1 measures origin 100ms x3
        shop in carrier-a: origin, below, 100ms
        ask www.shop.example A from 192.0.2.7
        A 203.0.113.1
        ask www.shop.example AAAA from 192.0.2.7
        AAAA 2001:db8::1
        ask www.shop.example TXT from 192.0.2.7
        NODATA
        ask www.other.example A from 192.0.2.7
        REFUSED
