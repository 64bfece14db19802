#include "ops/kernels/transpose.hpp"

#include <algorithm>
#include <cstring>

#include "lucid/cpu.hpp"
#include "ops/kernels/elementwise.hpp"

namespace lucid::kernels {
namespace {

constexpr std::int64_t kTile = 32;
constexpr std::int64_t kLeast = 2;  // a shorter axis is not worth tiles

template <class T>
void transpose_tile(T* out, const T* in, std::int64_t out_step, std::int64_t in_step, std::int64_t count_a,
                    std::int64_t count_b) {
  for (std::int64_t a = 0; a < count_a; ++a)
    for (std::int64_t b = 0; b < count_b; ++b)
      std::memcpy(out + a * out_step + b, in + a + b * in_step, sizeof(T));
}

// Eight by eight words through registers: eight loads and eight stores of whole rows.
typedef std::uint32_t Words __attribute__((vector_size(32)));

[[gnu::always_inline]] inline void transpose_block(std::uint32_t* out, const std::uint32_t* in,
                                                   std::int64_t out_step, std::int64_t in_step) {
  Words r[8], s[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) std::memcpy(&r[i], in + i * in_step, sizeof(Words));
  for (int i = 0; i < 8; i += 2) {  // pairs of words
    s[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
    s[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
  }
  for (int i = 0; i < 8; i += 4)  // fours
    for (int k = 0; k < 2; ++k) {
      r[i + k] = __builtin_shufflevector(s[i + k], s[i + k + 2], 0, 1, 8, 9, 4, 5, 12, 13);
      r[i + k + 2] = __builtin_shufflevector(s[i + k], s[i + k + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
  for (int k = 0; k < 4; ++k) {  // halves
    s[k] = __builtin_shufflevector(r[k], r[k + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    s[k + 4] = __builtin_shufflevector(r[k], r[k + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) std::memcpy(out + i * out_step, &s[i], sizeof(Words));
}

// Four by four words: of few channels no more lie together.
typedef std::uint32_t FourWords __attribute__((vector_size(16)));

[[gnu::always_inline]] inline void transpose_four(std::uint32_t* out, const std::uint32_t* in,
                                                  std::int64_t out_step, std::int64_t in_step) {
  FourWords r[4], s[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) std::memcpy(&r[i], in + i * in_step, sizeof(FourWords));
  for (int k = 0; k < 2; ++k) {
    s[2 * k] = __builtin_shufflevector(r[k], r[k + 2], 0, 4, 1, 5);
    s[2 * k + 1] = __builtin_shufflevector(r[k], r[k + 2], 2, 6, 3, 7);
  }
  for (int k = 0; k < 2; ++k) {
    r[2 * k] = __builtin_shufflevector(s[k], s[k + 2], 0, 4, 1, 5);
    r[2 * k + 1] = __builtin_shufflevector(s[k], s[k + 2], 2, 6, 3, 7);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) std::memcpy(out + i * out_step, &r[i], sizeof(FourWords));
}

// Two or three channels that lie together. The words may be floats.
typedef std::uint32_t AnyWord __attribute__((may_alias));

template <int Channels>
[[gnu::always_inline]] inline void interleave(AnyWord* __restrict__ out, const AnyWord* __restrict__ in,
                                              std::int64_t in_step, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i)
#pragma GCC unroll 4
    for (int c = 0; c < Channels; ++c) out[i * Channels + c] = in[i + c * in_step];
}
template <int Channels>
[[gnu::always_inline]] inline void separate(AnyWord* __restrict__ out, const AnyWord* __restrict__ in,
                                            std::int64_t out_step, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i)
#pragma GCC unroll 4
    for (int c = 0; c < Channels; ++c) out[i + c * out_step] = in[i * Channels + c];
}

// Rows [a, end_a) and columns [b, end_b) in blocks of four by four. The last of them may begin before a or b,
// from where it copies some again.
[[gnu::always_inline]] inline void transpose_narrow(std::uint32_t* out, const std::uint32_t* in,
                                                    std::int64_t out_step, std::int64_t in_step,
                                                    std::int64_t a, std::int64_t b, std::int64_t end_a,
                                                    std::int64_t end_b) {
  if (end_a < 4 || end_b < 4)
    return transpose_tile(out + a * out_step + b, in + a + b * in_step, out_step, in_step, end_a - a,
                          end_b - b);
  for (; a < end_a; a += 4)
    for (std::int64_t at_b = b; at_b < end_b; at_b += 4) {
      const std::int64_t i = std::min(a, end_a - 4), j = std::min(at_b, end_b - 4);
      transpose_four(out + i * out_step + j, in + i + j * in_step, out_step, in_step);
    }
}

// By blocks of eight where a register holds so many words, else all by those of four.
struct TransposeWords {
  template <int Bytes>
  [[gnu::always_inline]] static void run(std::uint32_t* out, const std::uint32_t* in, std::int64_t out_step,
                                         std::int64_t in_step, std::int64_t count_a, std::int64_t count_b) {
    if (count_b == 2 && out_step == 2) return interleave<2>(out, in, in_step, count_a);
    if (count_b == 3 && out_step == 3) return interleave<3>(out, in, in_step, count_a);
    if (count_a == 2 && in_step == 2) return separate<2>(out, in, out_step, count_b);
    if (count_a == 3 && in_step == 3) return separate<3>(out, in, out_step, count_b);
    constexpr bool has_eight = Bytes >= static_cast<int>(sizeof(Words));
    const std::int64_t whole_a = has_eight ? count_a / 8 * 8 : count_a,
                       whole_b = has_eight ? count_b / 8 * 8 : 0;
    if constexpr (has_eight)
      for (std::int64_t a = 0; a < whole_a; a += 8)
        for (std::int64_t b = 0; b < whole_b; b += 8)
          transpose_block(out + a * out_step + b, in + a + b * in_step, out_step, in_step);
    transpose_narrow(out, in, out_step, in_step, 0, whole_b, whole_a, count_b);
    transpose_narrow(out, in, out_step, in_step, whole_a, 0, count_a, count_b);
  }
};

}  // namespace

template <class T>
void transpose(T* out, const T* in, std::int64_t out_step, std::int64_t in_step, std::int64_t count_a,
               std::int64_t count_b) {
  for (std::int64_t a = 0; a < count_a; a += kTile)
    for (std::int64_t b = 0; b < count_b; b += kTile) {
      T* to = out + a * out_step + b;
      const T* from = in + a + b * in_step;
      const std::int64_t size_a = std::min(kTile, count_a - a), size_b = std::min(kTile, count_b - b);
      if constexpr (sizeof(T) == sizeof(std::uint32_t))
        run_for_registers<TransposeWords>(reinterpret_cast<std::uint32_t*>(to),
                                          reinterpret_cast<const std::uint32_t*>(from), out_step, in_step,
                                          size_a, size_b);
      else
        transpose_tile(to, from, out_step, in_step, size_a, size_b);
    }
}

template void transpose(float*, const float*, std::int64_t, std::int64_t, std::int64_t, std::int64_t);
template void transpose(double*, const double*, std::int64_t, std::int64_t, std::int64_t, std::int64_t);

bool copy_transposed(const Tensor& target, const Tensor& source) {
  if (target.dtype() != source.dtype() || target.shape() != source.shape() || target.numel() == 0)
    return false;
  if (target.strides() == source.strides()) return false;
  auto plan = plan_loop<2>(target.shape(), {target.strides(), source.strides()});
  const std::size_t inner = plan.rank - 1;
  if (plan.rank < 2 || plan.strides[0][inner] != 1 || plan.strides[1][inner] == 1) return false;
  std::size_t across = 0;
  while (across < inner && plan.strides[1][across] != 1) ++across;
  if (across == inner || plan.sizes[across] < kLeast || plan.sizes[inner] < kLeast) return false;

  const std::int64_t size_a = plan.sizes[across], size_b = plan.sizes[inner];
  const std::int64_t step_out = plan.strides[0][across], step_in = plan.strides[1][inner];
  // Pieces of the inner axis, so that a single large plane too is shared among threads.
  const std::int64_t piece = std::max<std::int64_t>(kElementGrain / size_a / kTile, 1) * kTile;
  const std::int64_t pieces = (size_b + piece - 1) / piece, planes = plan.numel / size_a / size_b;
  dispatch_all(target.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* out = target.data_to_write<T>();
    const T* in = source.data<T>();
    parallel_for(planes * pieces, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t unit = begin; unit < end; ++unit) {
        std::int64_t rest = unit / pieces, to = 0, from = 0;
        for (std::size_t axis = inner; axis-- > 0;) {
          if (axis == across) continue;
          to += rest % plan.sizes[axis] * plan.strides[0][axis];
          from += rest % plan.sizes[axis] * plan.strides[1][axis];
          rest /= plan.sizes[axis];
        }
        const std::int64_t first = unit % pieces * piece;
        transpose(out + to + first, in + from + first * step_in, step_out, step_in, size_a,
                  std::min(piece, size_b - first));
      }
    });
  });
  return true;
}

}  // namespace lucid::kernels
