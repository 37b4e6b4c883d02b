A late measurement counts in the pane of its own time, if the window still holds that pane.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
site shop: origin, then edge-one
  response_time under 150ms, p95 over 20s, 3 samples of 1 probe

at 0s   agent-1 measures origin 100ms x3
        shop in carrier-a: origin, below, 100ms
at 15s  agent-1 measures origin 100ms x3
# At 30s the panes of 11s to 30s are in the window.
at 30s  agent-1 measures origin 400ms x3 (19.001s ago)
        shop in carrier-a: unchanged
at 30.5s
        agent-1 measures origin 400ms x3 (19.5s ago)
        shop in carrier-a: cdn edge-one, at-or-above, 400ms
at 31s  shop in carrier-a: origin, below, 100ms
