With every CDN at-or-above, the least permille is taken; the present one stays within a tenth of it.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
cdn edge-two (partner)
site shop: origin, then edge-one, then edge-two
  response_time under 100ms, p50 over 10s, 1 sample of 1 probe

at 0s   agent-1 measures origin 300ms, edge-one 200ms, edge-two 150ms
        shop in carrier-a: cdn edge-two, at-or-above, 300ms, not edge-one (at-or-above, 2000 permille)
# 1360 is more than 90 % of 1500, and 1350 is not.
at 10s  agent-1 measures origin 300ms, edge-one 136ms, edge-two 150ms
        shop in carrier-a: unchanged
at 20s  agent-1 measures origin 300ms, edge-one 135ms, edge-two 150ms
        shop in carrier-a: cdn edge-one, at-or-above, 300ms, not edge-two (at-or-above, 1500 permille)
# A failed value is infinitely far above.
at 30s  agent-1 measures origin 300ms, edge-one failed, edge-two 500ms
        shop in carrier-a: cdn edge-two, at-or-above, 300ms, not edge-one (at-or-above)
