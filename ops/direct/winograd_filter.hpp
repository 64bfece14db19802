#pragma once
// The one-dimensional transforms of Winograd's minimal filtering F(M, T): M results of a filter of T taps
// from M + T - 1 products, A^T [(G g) * (B^T d)]. Those of a tile apply them to its columns and then to its
// rows. F(2, 3): A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016. The
// others by the construction of Toom and Cook, F(4, 3) at the points 0, 1, -1, 1/2, -2 and infinity, whose
// errors are smaller than at -2, -1, 0, 1, 2: B. Barabasz et al., "Error Analysis and Improving the Accuracy
// of Winograd Convolution for Deep Neural Networks", TOMS 2020, and so F(2, 5). F(2, 2) at 0, 1, infinity,
// and F(4, 2) at 0, 1, -1, 2, infinity.
//
// A last tap of zero leaves nothing to multiply at the last point, infinity.

#include "ops/direct/winograd_problem.hpp"

namespace lucid::direct {

// A division takes many times as long.
inline constexpr double kThird = 1.0 / 3, kFifteenth = 1.0 / 15;

/// V: a number or a vector of them; of the weight (taps, sums) double. All arrays are distinct.
template <int M, int T>
struct Filter;

template <int M, int T>
struct FilterSize {
  static constexpr int kOutputs = M, kTaps = T, kSide = M + T - 1;
};

template <>
struct Filter<2, 3> : FilterSize<2, 3> {
  /// B^T d
  template <class V>
  [[gnu::always_inline]] static void input(const V (&d)[4], V (&out)[4]) {
    out[0] = d[0] - d[2];
    out[1] = d[1] + d[2];
    out[2] = d[2] - d[1];
    out[3] = d[1] - d[3];
  }
  /// A^T m
  template <class V>
  [[gnu::always_inline]] static void output(const V (&m)[4], V (&out)[2]) {
    out[0] = m[0] + m[1] + m[2];
    out[1] = m[1] - m[2] - m[3];
  }
  /// G g
  template <class V>
  [[gnu::always_inline]] static void taps(const V (&g)[3], V (&out)[4]) {
    const V ends = g[0] + g[2];
    out[0] = g[0];
    out[1] = (ends + g[1]) / 2;
    out[2] = (ends - g[1]) / 2;
    out[3] = g[2];
  }
  /// A g
  template <class V>
  [[gnu::always_inline]] static void grads(const V (&g)[2], V (&out)[4]) {
    out[0] = g[0];
    out[1] = g[0] + g[1];
    out[2] = g[0] - g[1];
    out[3] = -g[1];
  }
  /// G^T m
  template <class V>
  [[gnu::always_inline]] static void sums(const V (&m)[4], V (&out)[3]) {
    const V both = (m[1] + m[2]) / 2;
    out[0] = m[0] + both;
    out[1] = (m[1] - m[2]) / 2;
    out[2] = both + m[3];
  }
};

// B^T d of F(4, 3) and F(2, 5), which have their points in common.
struct SixPoints {
  template <class V>
  [[gnu::always_inline]] static void input(const V (&d)[6], V (&out)[6]) {
    const V odd = d[3] - d[1], even = d[4] - d[2];
    out[0] = d[0] - d[2] + odd * 1.5f + even;
    out[1] = even + odd + (d[2] + d[3]) * 1.5f;
    out[2] = even - odd + (d[3] - d[2]) * 1.5f;
    out[3] = even + odd * 2.0f;
    out[4] = even - odd * 0.5f;
    out[5] = d[5] - d[3] + even * 1.5f - odd;
  }
};

template <>
struct Filter<4, 3> : FilterSize<4, 3>, SixPoints {
  template <class V>
  [[gnu::always_inline]] static void output(const V (&m)[6], V (&out)[4]) {
    const V both = m[1] + m[2], apart = m[1] - m[2];
    out[0] = m[0] + both + (m[3] + m[4]);
    out[1] = apart + m[3] * 0.5f - m[4] * 2.0f;
    out[2] = both + m[3] * 0.25f + m[4] * 4.0f;
    out[3] = apart + m[3] * 0.125f - m[4] * 8.0f + m[5];
  }
  template <class V>
  [[gnu::always_inline]] static void taps(const V (&g)[3], V (&out)[6]) {
    const V ends = g[0] + g[2];
    out[0] = g[0];
    out[1] = (ends + g[1]) * kThird;
    out[2] = (g[1] - ends) * kThird;
    out[3] = (g[0] * 4 + g[1] * 2 + g[2]) * (-4 * kFifteenth);
    out[4] = (g[0] - g[1] * 2 + g[2] * 4) * kFifteenth;
    out[5] = g[2];
  }
  template <class V>
  [[gnu::always_inline]] static void grads(const V (&g)[4], V (&out)[6]) {
    const V even = g[0] + g[2], odd = g[1] + g[3];
    out[0] = g[0];
    out[1] = even + odd;
    out[2] = even - odd;
    out[3] = g[0] + g[1] * 0.5f + g[2] * 0.25f + g[3] * 0.125f;
    out[4] = g[0] - g[1] * 2.0f + g[2] * 4.0f - g[3] * 8.0f;
    out[5] = g[3];
  }
  template <class V>
  [[gnu::always_inline]] static void sums(const V (&m)[6], V (&out)[3]) {
    const V third = (m[1] - m[2]) * kThird;
    out[0] = m[0] + third + (m[4] - m[3] * 16) * kFifteenth;
    out[1] = (m[1] + m[2]) * kThird - (m[3] * 8 + m[4] * 2) * kFifteenth;
    out[2] = third + (m[4] - m[3]) * (4 * kFifteenth) + m[5];
  }
};

template <>
struct Filter<2, 2> : FilterSize<2, 2> {
  template <class V>
  [[gnu::always_inline]] static void input(const V (&d)[3], V (&out)[3]) {
    out[0] = d[0] - d[1];
    out[1] = d[1];
    out[2] = d[2] - d[1];
  }
  template <class V>
  [[gnu::always_inline]] static void output(const V (&m)[3], V (&out)[2]) {
    out[0] = m[0] + m[1];
    out[1] = m[1] + m[2];
  }
  template <class V>
  [[gnu::always_inline]] static void taps(const V (&g)[2], V (&out)[3]) {
    out[0] = g[0];
    out[1] = g[0] + g[1];
    out[2] = g[1];
  }
  template <class V>
  [[gnu::always_inline]] static void grads(const V (&g)[2], V (&out)[3]) {
    out[0] = g[0];
    out[1] = g[0] + g[1];
    out[2] = g[1];
  }
  template <class V>
  [[gnu::always_inline]] static void sums(const V (&m)[3], V (&out)[2]) {
    out[0] = m[0] + m[1];
    out[1] = m[1] + m[2];
  }
};

template <>
struct Filter<4, 2> : FilterSize<4, 2> {
  template <class V>
  [[gnu::always_inline]] static void input(const V (&d)[5], V (&out)[5]) {
    const V odd = d[3] - d[1];
    out[0] = (d[0] - d[2]) * 2.0f + odd;
    out[1] = d[1] + d[2] - odd;
    out[2] = (d[1] - d[2]) * 3.0f + odd;
    out[3] = odd;
    out[4] = d[4] - d[2] - odd * 2.0f;
  }
  template <class V>
  [[gnu::always_inline]] static void output(const V (&m)[5], V (&out)[4]) {
    const V both = m[1] + m[2], apart = m[1] - m[2];
    out[0] = m[0] + both + m[3];
    out[1] = apart + m[3] * 2.0f;
    out[2] = both + m[3] * 4.0f;
    out[3] = apart + m[3] * 8.0f + m[4];
  }
  template <class V>
  [[gnu::always_inline]] static void taps(const V (&g)[2], V (&out)[5]) {
    out[0] = g[0] / 2;
    out[1] = (g[0] + g[1]) / 2;
    out[2] = (g[1] - g[0]) * (kThird / 2);
    out[3] = (g[0] + g[1] * 2) * (kThird / 2);
    out[4] = g[1];
  }
  template <class V>
  [[gnu::always_inline]] static void grads(const V (&g)[4], V (&out)[5]) {
    const V even = g[0] + g[2], odd = g[1] + g[3];
    out[0] = g[0];
    out[1] = even + odd;
    out[2] = even - odd;
    out[3] = g[0] + g[1] * 2.0f + g[2] * 4.0f + g[3] * 8.0f;
    out[4] = g[3];
  }
  template <class V>
  [[gnu::always_inline]] static void sums(const V (&m)[5], V (&out)[2]) {
    out[0] = (m[0] + m[1]) / 2 + (m[3] - m[2]) * (kThird / 2);
    out[1] = m[1] / 2 + (m[2] / 2 + m[3]) * kThird + m[4];
  }
};

template <>
struct Filter<2, 5> : FilterSize<2, 5>, SixPoints {
  template <class V>
  [[gnu::always_inline]] static void output(const V (&m)[6], V (&out)[2]) {
    out[0] = m[0] + (m[1] + m[2]) + (m[3] + m[4]);
    out[1] = (m[1] - m[2]) + m[3] * 0.5f - m[4] * 2.0f + m[5];
  }
  template <class V>
  [[gnu::always_inline]] static void taps(const V (&g)[5], V (&out)[6]) {
    const V even = g[0] + g[2] + g[4], odd = g[1] + g[3];
    out[0] = g[0];
    out[1] = (even + odd) * kThird;
    out[2] = (odd - even) * kThird;
    out[3] = (g[0] * 16 + g[1] * 8 + g[2] * 4 + g[3] * 2 + g[4]) * -kFifteenth;
    out[4] = (g[0] - g[1] * 2 + g[2] * 4 - g[3] * 8 + g[4] * 16) * kFifteenth;
    out[5] = g[4];
  }
  template <class V>
  [[gnu::always_inline]] static void grads(const V (&g)[2], V (&out)[6]) {
    out[0] = g[0];
    out[1] = g[0] + g[1];
    out[2] = g[0] - g[1];
    out[3] = g[0] + g[1] * 0.5f;
    out[4] = g[0] - g[1] * 2.0f;
    out[5] = g[1];
  }
  template <class V>
  [[gnu::always_inline]] static void sums(const V (&m)[6], V (&out)[5]) {
    const V both = (m[1] + m[2]) * kThird, apart = (m[1] - m[2]) * kThird;
    out[0] = m[0] + apart + (m[4] - m[3] * 16) * kFifteenth;
    out[1] = both - (m[3] * 8 + m[4] * 2) * kFifteenth;
    out[2] = apart + (m[4] - m[3]) * (4 * kFifteenth);
    out[3] = both - (m[3] * 2 + m[4] * 8) * kFifteenth;
    out[4] = apart + (m[4] * 16 - m[3]) * kFifteenth + m[5];
  }
};

static_assert(Filter<4, 3>::kSide == kMostSide && Filter<2, 5>::kSide == kMostSide);

/// f(the filter of a size).
template <class F>
void with_filter(TileSize size, F&& f) {
  if (size.taps == kMostTaps)
    f(Filter<2, 5>{});
  else if (size.taps == 2)
    size.outputs == 2 ? f(Filter<2, 2>{}) : f(Filter<4, 2>{});
  else
    size.outputs == 2 ? f(Filter<2, 3>{}) : f(Filter<4, 3>{});
}

}  // namespace lucid::direct
