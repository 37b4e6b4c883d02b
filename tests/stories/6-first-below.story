A site that leaves its origin goes to the first of its CDNs that is below the level.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
cdn edge-two (partner)
site shop: origin, then edge-one, then edge-two
  response_time under 100ms, p50 over 10s, 1 sample of 1 probe

at 0s   agent-1 measures origin 200ms, edge-one 100ms, edge-two 99ms
        shop in carrier-a: cdn edge-two, at-or-above, 200ms, not edge-one (at-or-above, 1000 permille)
