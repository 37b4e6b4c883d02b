Targets keep their windows by name when the order of a site's CDNs changes.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
cdn edge-two (partner)
site shop: origin, then edge-one, then edge-two
  response_time under 100ms, p50 over 20s, 1 sample of 1 probe

at 0s   agent-1 measures origin 200ms, edge-one 150ms, edge-two 50ms
        shop in carrier-a: cdn edge-two, at-or-above, 200ms, not edge-one (at-or-above, 1500 permille)
at 5s   site shop: origin, then edge-two, then edge-one
          response_time under 100ms, p50 over 20s, 1 sample of 1 probe
        shop in carrier-a: unchanged
at 6s   edge-two reports unhealthy
        shop in carrier-a: cdn edge-one, at-or-above, 200ms, not edge-two (not usable, 500 permille)
