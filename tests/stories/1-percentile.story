The value of a probe is the measurement of rank ⌈p·n/100⌉ from the best.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
site shop: origin, then edge-one
  response_time under 150ms, p75 over 20s, 3 samples of 1 probe

# The third best of four, the fourth best of five, the sixth best of eight.
at 0s   agent-1 measures origin 100ms x3, origin 400ms
        shop in carrier-a: origin, below, 100ms, 4 samples of 1 probe
at 1s   agent-1 measures origin 400ms
        shop in carrier-a: cdn edge-one, at-or-above, 400ms, 5 samples of 1 probe
at 2s   agent-1 measures origin 100ms x3
        shop in carrier-a: origin, below, 100ms, 8 samples of 1 probe
