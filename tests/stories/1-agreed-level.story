An agreed level is a number of three significant digits, so that rounding never changes a verdict.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
site shop: origin, then edge-one
  response_time under 150ms, p95 over 20s, 3 samples of 1 probe

at 0s   agent-1 measures origin 150ms x3
        shop in carrier-a: cdn edge-one, at-or-above, 150ms
at 1s   site shop: origin, then edge-one
          response_time under 150.5ms, p95 over 20s, 3 samples of 1 probe
        refused: must be a number of three significant digits; the nearest are 150ms and 151ms
        shop in carrier-a: unchanged
