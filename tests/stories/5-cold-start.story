A site of which nothing is known yet goes to its origin.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
site shop: origin, then edge-one
  response_time under 150ms, p95 over 20s, 3 samples of 1 probe

at 0s   shop in carrier-a: origin, unknown (cold start)
        shop in everywhere: origin, unknown (cold start)
        ask www.shop.example A from 192.0.2.7
        A 203.0.113.1
at 1s   agent-1 measures origin 400ms x3
        shop in carrier-a: cdn edge-one, at-or-above, 400ms
        shop in everywhere: cdn edge-one, at-or-above, 400ms
