A frozen site keeps its last route, whatever its reason; freezing everything does so for every site.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
site shop: origin, then edge-one
  response_time under 150ms, p50 over 60s, 1 sample of 1 probe

at 0s   agent-1 measures origin 400ms
        shop in carrier-a: cdn edge-one, at-or-above, 400ms
at 1s   freeze shop until 5s
        shop in carrier-a: cdn edge-one, at-or-above (frozen), 400ms
at 2s   agent-1 measures origin 100ms x3
        shop in carrier-a: cdn edge-one, below (frozen), 100ms
at 3s   edge-one reports unhealthy
        shop in carrier-a: unchanged
at 5s   shop in carrier-a: origin, below, 100ms
at 6s   freeze everything until 10s
        shop in carrier-a: origin, below (frozen), 100ms
# A pin goes before it.
at 7s   pin shop to edge-one until 9s
        shop in carrier-a: cdn edge-one, below (pinned), 100ms
# The pinned route is now the last one.
at 9s   shop in carrier-a: cdn edge-one, below (frozen), 100ms
at 10s  shop in carrier-a: origin, below, 100ms
at 11s  freeze shop until 1h
        shop in carrier-a: origin, below (frozen), 100ms
at 12s  delete override freeze-shop
        shop in carrier-a: origin, below, 100ms
