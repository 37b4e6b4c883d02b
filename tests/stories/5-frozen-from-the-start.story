A site that is frozen before it was ever decided keeps the route of its first tick.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
site shop: origin, then edge-one
  response_time under 150ms, p50 over 60s, 1 sample of 1 probe

# There is no last route yet, so the rule decides.
at 0s   freeze shop until 5s
        agent-1 measures origin 100ms
        shop in carrier-a: origin, below, 100ms
at 1s   shop in carrier-a: origin, below (frozen), 100ms
at 2s   agent-1 measures origin 400ms x3
        shop in carrier-a: origin, at-or-above (frozen), 400ms
at 5s   shop in carrier-a: cdn edge-one, at-or-above, 400ms
