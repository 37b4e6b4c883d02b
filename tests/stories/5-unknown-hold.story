When the evidence is gone, the last route is held.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
site shop: origin, then edge-one
  response_time under 150ms, p95 over 20s, 3 samples of 1 probe

at 0s   agent-1 measures origin 400ms x3
        shop in carrier-a: cdn edge-one, at-or-above, 400ms
at 20s  shop in carrier-a: cdn edge-one, unknown (unknown hold)
at 30s  agent-1 measures origin 100ms x3
        shop in carrier-a: origin, below, 100ms
at 50s  shop in carrier-a: origin, unknown (unknown hold)
