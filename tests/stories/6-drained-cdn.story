A drained CDN is not usable until the drain ends.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
cdn edge-two (partner)
site shop: origin, then edge-one, then edge-two
  response_time under 150ms, p50 over 60s, 1 sample of 1 probe

at 0s   agent-1 measures origin 400ms, edge-one 50ms, edge-two 60ms
        shop in carrier-a: cdn edge-one, at-or-above, 400ms
at 1s   drain edge-one until 4s
        shop in carrier-a: cdn edge-two, at-or-above, 400ms, not edge-one (not usable, 333 permille)
# The same override with another end. The earlier CDN is taken again, because it is well below.
at 2s   drain edge-one until 3s
        shop in carrier-a: unchanged
at 3s   shop in carrier-a: cdn edge-one, at-or-above, 400ms, not edge-two (below, 400 permille)
