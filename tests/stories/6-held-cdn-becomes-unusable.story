A held route is chosen anew when its CDN can no longer be used.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
cdn edge-two (partner)
site shop: origin, then edge-one, then edge-two
  response_time under 100ms, p50 over 10s, 1 sample of 1 probe

at 0s   agent-1 measures origin 200ms, edge-one 50ms, edge-two 50ms
        shop in carrier-a: cdn edge-one, at-or-above, 200ms
at 10s  shop in carrier-a: cdn edge-one, unknown (unknown hold)
at 11s  edge-one reports unhealthy
        shop in carrier-a: cdn edge-two, unknown (unknown hold), not edge-one (not usable)
