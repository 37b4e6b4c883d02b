A network without evidence is judged by its nearest ancestor that has some.

network europe
network carrier-a in europe, 192.0.2.0/24
network carrier-b in europe, 198.51.100.0/24
network carrier-c in europe, 203.0.113.0/24
probe agent-1 in carrier-a
probe agent-2 in carrier-b
cdn edge-one (operated)
site shop: origin, then edge-one
  response_time under 150ms, p95 over 20s, 3 samples of 1 probe

at 0s   agent-1 measures origin 100ms x3
        shop in europe: origin, below, 100ms
        shop in carrier-a: origin, below, 100ms
        shop in carrier-b: origin, below, 100ms from europe
        shop in carrier-c: origin, below, 100ms from europe
# Of two values the better one is the median.
at 1s   agent-2 measures origin 200ms x3
        shop in carrier-b: cdn edge-one, at-or-above, 200ms
        shop in carrier-c: unchanged
at 2s   agent-1 measures origin 300ms
        shop in europe: cdn edge-one, at-or-above, 200ms
        shop in carrier-a: cdn edge-one, at-or-above, 300ms
        shop in carrier-c: cdn edge-one, at-or-above, 200ms from europe
