Client Subnet picks the network, and the scope says how many bits decide it: none where all routes are equal.

also live
network carrier-a, 192.0.2.0/24
network carrier-b, 198.51.100.0/24
probe agent-1 in carrier-a
probe agent-2 in carrier-b
cdn edge-one (operated)
site shop: origin, then edge-one
  response_time under 150ms, p95 over 10min, 3 samples of 1 probe

at 0s   agent-1 measures origin 100ms x3
        agent-2 measures origin 100ms x3
        shop in carrier-a: origin, below, 100ms
        ask www.shop.example A from 203.0.113.77 for 192.0.2.0/24
        A 203.0.113.1
        scope 0
at 1s   agent-1 measures origin 400ms x3
        shop in carrier-a: cdn edge-one, at-or-above, 400ms
        ask www.shop.example A from 203.0.113.77 for 192.0.2.0/24
        CNAME edge-one.example.
        scope 24
# No prefix begins with the first five bits of 203.
        ask www.shop.example A from 192.0.2.7 for 203.0.113.0/24
        A 203.0.113.1
        scope 5
