A frozen site leaves a CDN that is taken from it, and keeps the route that the rule then chooses.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
cdn edge-two (partner)
site shop: origin, then edge-one, then edge-two
  response_time under 150ms, p50 over 60s, 1 sample of 1 probe

at 0s   agent-1 measures origin 400ms
        shop in carrier-a: cdn edge-one, at-or-above, 400ms
at 1s   freeze shop until 10s
        shop in carrier-a: cdn edge-one, at-or-above (frozen), 400ms
at 2s   site shop: origin, then edge-two
          response_time under 150ms, p50 over 60s, 1 sample of 1 probe
        shop in carrier-a: cdn edge-two, at-or-above, 400ms
at 3s   shop in carrier-a: cdn edge-two, at-or-above (frozen), 400ms
at 4s   agent-1 measures origin 100ms x3
        shop in carrier-a: cdn edge-two, below (frozen), 100ms
at 10s  shop in carrier-a: origin, below, 100ms
