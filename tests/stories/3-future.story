An event time up to 5 minutes ahead counts as now; one further ahead is refused.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
site shop: origin, then edge-one
  response_time under 150ms, p95 over 20s, 3 samples of 1 probe

at 0s   agent-1 measures origin 100ms x3
        shop in carrier-a: origin, below, 100ms
at 1s   agent-1 measures origin 400ms x3 (300.001s ahead)
        shop in carrier-a: unchanged
at 2s   agent-1 measures origin 400ms x3 (300s ahead)
        shop in carrier-a: cdn edge-one, at-or-above, 400ms
at 10s  agent-1 measures origin 100ms x3
at 21s  shop in carrier-a: unchanged
at 22s  shop in carrier-a: origin, below, 100ms
