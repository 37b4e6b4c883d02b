A window above a minute has sixty panes.
A pane of ten minutes is 10s: what was measured at 9s is in the pane of 0s.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
site shop: origin, then edge-one
  response_time under 150ms, p95 over 10min, 3 samples of 1 probe

at 9s   agent-1 measures origin 400ms x3
        shop in carrier-a: cdn edge-one, at-or-above, 400ms
at 10s  agent-1 measures origin 100ms x3
        shop in carrier-a: unchanged
at 599s shop in carrier-a: unchanged
at 600s shop in carrier-a: origin, below, 100ms, 3 samples of 1 probe
at 609s shop in carrier-a: unchanged
at 610s shop in carrier-a: origin, unknown (unknown hold)
