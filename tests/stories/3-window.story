A measurement leaves the window with its pane, at the first tick after the window's length.
A pane of a window up to 60s is a second: what was measured at 0.9s is in the pane of 0s.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
site shop: origin, then edge-one
  response_time under 150ms, p95 over 20s, 3 samples of 1 probe

at 0.9s agent-1 measures origin 400ms x3
        shop in carrier-a: cdn edge-one, at-or-above, 400ms
at 10s  agent-1 measures origin 100ms x3
        shop in carrier-a: unchanged
at 19.999s
        shop in carrier-a: unchanged
at 20s  shop in carrier-a: origin, below, 100ms, 3 samples of 1 probe
