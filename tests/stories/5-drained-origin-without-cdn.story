A drained origin is not left for a CDN that cannot be used, also where an ancestor gives the evidence.

network europe, 192.0.2.0/24
network carrier-a in europe, 198.51.100.0/24
network carrier-b in europe, 203.0.113.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
site shop: origin, then edge-one
  response_time under 150ms, p50 over 60s, 1 sample of 1 probe

at 0s   agent-1 measures origin 100ms
        edge-one reports unhealthy
        shop in carrier-b: origin, below, 100ms from europe
at 1s   drain origin of shop until 5s
        shop in carrier-b: origin, below (no usable cdn), 100ms from europe
at 2s   edge-one reports healthy
        shop in carrier-b: cdn edge-one, below (drained), 100ms from europe
at 5s   shop in carrier-b: origin, below, 100ms from europe
