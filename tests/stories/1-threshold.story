A site moves when its percentile reaches the agreed level, not before.
The measurement of 149.999ms leaves it at its origin, the one of 150ms sends it to the CDN.

also live
network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
site shop: origin, then edge-one
  response_time under 150ms, p95 over 10min, 3 samples of 1 probe

at 0s   agent-1 measures origin 100ms x3, edge-one 50ms x3
        shop in carrier-a: origin, below, 100ms
        ask www.shop.example A from 192.0.2.7
        A 203.0.113.1
at 5s   agent-1 measures origin 149.999ms
        shop in carrier-a: unchanged
at 6s   agent-1 measures origin 150ms
        shop in carrier-a: cdn edge-one, at-or-above, 150ms
        ask www.shop.example A from 192.0.2.7
        CNAME edge-one.example.
