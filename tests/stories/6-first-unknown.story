Without a CDN that is below the level, the first one that is unknown is taken.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
cdn edge-two (partner)
site shop: origin, then edge-one, then edge-two
  response_time under 100ms, p50 over 10s, 1 sample of 1 probe

at 0s   agent-1 measures origin 200ms, edge-one 150ms
        shop in carrier-a: cdn edge-two, at-or-above, 200ms, not edge-one (at-or-above, 1500 permille)
# Now edge-one is the unknown one.
at 10s  agent-1 measures origin 200ms, edge-two 150ms
        shop in carrier-a: cdn edge-one, at-or-above, 200ms, not edge-two (at-or-above, 1500 permille)
