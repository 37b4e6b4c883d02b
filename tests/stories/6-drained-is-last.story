When no CDN is usable and the origin has no success, the CDNs that are not drained count as usable.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
cdn edge-two (partner)
site shop: origin, then edge-one, then edge-two
  response_time under 150ms, p50 over 60s, 1 sample of 1 probe

at 0s   agent-1 measures origin failed
        edge-two reports unhealthy
        shop in carrier-a: cdn edge-one, at-or-above, failed, not edge-two (not usable)
at 1s   drain edge-one until 3s
        shop in carrier-a: cdn edge-two, at-or-above, failed
at 3s   shop in carrier-a: cdn edge-one, at-or-above, failed, not edge-two (not usable)
