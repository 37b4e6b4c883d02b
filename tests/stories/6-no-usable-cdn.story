With no usable CDN a site stays at its origin, if that answers anybody.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
site shop: origin, then edge-one
  response_time under 100ms, p50 over 20s, 1 sample of 1 probe

at 0s   agent-1 measures origin 200ms, edge-one 50ms
        shop in carrier-a: cdn edge-one, at-or-above, 200ms
at 1s   edge-one reports unhealthy
        shop in carrier-a: origin, at-or-above (no usable cdn), 200ms, not edge-one (not usable, 500 permille)
        ask www.shop.example A from 192.0.2.7
        A 203.0.113.1
at 2s   edge-one reports healthy
        shop in carrier-a: cdn edge-one, at-or-above, 200ms
