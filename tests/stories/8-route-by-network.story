Every network has its own route; a resolver in none of them gets the route of everywhere.

also live
network carrier-a, 192.0.2.0/24
network carrier-b, 198.51.100.0/24
probe agent-1 in carrier-a
probe agent-2 in carrier-b
cdn edge-one (operated)
site shop: origin, then edge-one
  response_time under 150ms, p95 over 10min, 3 samples of 1 probe

at 0s   agent-1 measures origin 400ms x3
        agent-2 measures origin 100ms x3
        shop in carrier-a: cdn edge-one, at-or-above, 400ms
        shop in carrier-b: origin, below, 100ms
        shop in everywhere: origin, below, 100ms
        ask www.shop.example A from 192.0.2.7
        CNAME edge-one.example.
        ask www.shop.example A from 198.51.100.7
        A 203.0.113.1
        ask www.shop.example A from 203.0.113.77
        A 203.0.113.1
