A changed objective starts with an empty window, and the route is held meanwhile.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
site shop: origin, then edge-one
  response_time under 150ms, p95 over 20s, 3 samples of 1 probe

at 0s   agent-1 measures origin 200ms x3
        shop in carrier-a: cdn edge-one, at-or-above, 200ms
at 5s   site shop: origin, then edge-one
          response_time under 300ms, p95 over 20s, 3 samples of 1 probe
        shop in carrier-a: cdn edge-one, unknown (unknown hold)
at 6s   agent-1 measures origin 200ms x3
        shop in carrier-a: origin, below, 200ms, 3 samples of 1 probe
