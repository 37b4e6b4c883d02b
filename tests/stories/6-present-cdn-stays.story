The present CDN stays while it is below, unless an earlier one is below at 900 permille or less.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
cdn edge-two (partner)
site shop: origin, then edge-one, then edge-two
  response_time under 100ms, p50 over 10s, 1 sample of 1 probe

at 0s   agent-1 measures origin 200ms, edge-one 200ms, edge-two 99ms
        shop in carrier-a: cdn edge-two, at-or-above, 200ms
at 10s  agent-1 measures origin 200ms, edge-one 90.1ms, edge-two 99ms
        shop in carrier-a: unchanged
at 20s  agent-1 measures origin 200ms, edge-one 90ms, edge-two 99ms
        shop in carrier-a: cdn edge-one, at-or-above, 200ms, not edge-two (below, 990 permille)
# A later one never takes over from one that is below.
at 30s  agent-1 measures origin 200ms, edge-one 99ms, edge-two 1ms
        shop in carrier-a: unchanged
