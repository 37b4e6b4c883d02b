A drained origin gets no traffic while a CDN can take it: the site is steered as if it were at-or-above.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
cdn edge-two (partner)
site shop: origin, then edge-one, then edge-two
  response_time under 150ms, p50 over 60s, 1 sample of 1 probe

at 0s   agent-1 measures origin 100ms, edge-one 50ms
        shop in carrier-a: origin, below, 100ms
at 2s   drain origin of shop until 8s
        shop in carrier-a: cdn edge-one, below (drained), 100ms
# CDNs matter although the verdict is below.
at 3s   edge-one reports unhealthy
        shop in carrier-a: cdn edge-two, below (drained), 100ms, not edge-one (not usable, 333 permille)
at 4s   edge-two reports unhealthy
        shop in carrier-a: origin, below (no usable cdn), 100ms
at 5s   edge-one reports healthy
        shop in carrier-a: cdn edge-one, below (drained), 100ms
# At-or-above by itself, it is steered by the rule.
at 6s   agent-1 measures origin 400ms x4
        shop in carrier-a: cdn edge-one, at-or-above, 400ms
at 7s   agent-1 measures origin 100ms x9
        shop in carrier-a: cdn edge-one, below (drained), 100ms
at 8s   shop in carrier-a: origin, below, 100ms
