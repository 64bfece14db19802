#include "ops/kernels/short_rows.hpp"

#include <algorithm>
#include <type_traits>

#include "ops/kernels/transpose.hpp"

namespace lucid::kernels {
namespace {

constexpr std::int64_t kTogether = 1024;              // elements; of four operands they fit the first cache
constexpr std::int64_t kShortColumns = 96;            // columns of a row that is worth a loop
constexpr std::int64_t kMostColumns = kTogether / 4;  // of rows that lie across

typedef std::uint16_t Half __attribute__((may_alias));  // of bfloat16

// Where an operand's rows and the elements of a row lie, in elements.
struct Steps {
  std::int64_t row, column;
};

// to[i * columns + j] = from[i * steps.row + j * steps.column]
template <class Word>
void gather_words(Word* to, const Word* from, Steps steps, std::int64_t rows, std::int64_t columns) {
  if (steps.row == 0) {
    for (std::int64_t j = 0; j < columns; ++j) to[j] = from[j * steps.column];
    for (std::int64_t filled = 1; filled < rows; filled *= 2)
      std::copy_n(to, std::min(filled, rows - filled) * columns, to + filled * columns);
    return;
  }
  if constexpr (std::is_floating_point_v<Word>)
    if (steps.row == 1) return transpose(to, from, columns, steps.column, rows, columns);
  for (std::int64_t i = 0; i < rows; ++i)
    for (std::int64_t j = 0; j < columns; ++j) to[i * columns + j] = from[i * steps.row + j * steps.column];
}

// One operand's rows, one after the other in memory.
class Gathered {
 public:
  // Valid until the next call. The operand's own memory where it lies so.
  GatheredRow rows(const RowSource& source, std::int64_t first, Steps steps, std::int64_t rows,
                   std::int64_t columns) {
    const std::byte* from =
        static_cast<const std::byte*>(source.data) + first * static_cast<std::int64_t>(source.size);
    if (steps.column == 1 && steps.row == columns) return from;
    if (steps.row == 0 && from == repeated_ && rows <= times_) return buffer_;
    switch (source.size) {
      case 1: gather_as<std::uint8_t>(from, steps, rows, columns); break;
      case 2: gather_as<Half>(from, steps, rows, columns); break;
      case 4: gather_as<float>(from, steps, rows, columns); break;
      default: gather_as<double>(from, steps, rows, columns);
    }
    repeated_ = steps.row == 0 ? from : nullptr;
    times_ = rows;
    return buffer_;
  }

 private:
  template <class Word>
  void gather_as(const std::byte* from, Steps steps, std::int64_t rows, std::int64_t columns) {
    gather_words(reinterpret_cast<Word*>(buffer_), reinterpret_cast<const Word*>(from), steps, rows, columns);
  }

  const std::byte* repeated_ = nullptr;  // the row of which the buffer has copies
  std::int64_t times_ = 0;
  alignas(64) std::byte buffer_[kTogether * sizeof(double)];
};

}  // namespace

template <std::size_t N>
bool detail::rows_are_short(const LoopPlan<N>& plan) {
  if (plan.numel == 0) return false;
  const std::size_t inner = plan.rank - 1;
  const std::int64_t columns = plan.sizes[inner];
  if (plan.strides[0][inner] != 1 || plan.strides[0][inner - 1] != columns) return false;
  if (columns < kShortColumns) return true;
  bool lies_across = false;
  for (std::size_t k = 1; k < N; ++k) lies_across = lies_across || plan.strides[k][inner] > 1;
  return lies_across && columns <= kMostColumns;
}

template bool detail::rows_are_short(const LoopPlan<3>&);
template bool detail::rows_are_short(const LoopPlan<4>&);

template <std::size_t N>
void gathered_rows(const LoopPlan<N>& plan, const std::array<RowSource, N - 1>& sources,
                   std::type_identity_t<GatheredFunction> row) {
  const std::size_t inner = plan.rank - 1;
  const std::int64_t columns = plan.sizes[inner], step = kTogether / columns;
  auto rows = plan;
  rows.rank = inner;
  rows.numel /= columns;
  const std::int64_t grain = std::max<std::int64_t>(1, kElementGrain / columns);
  parallel_blocks(rows.numel, grain, [&](std::int64_t begin, std::int64_t end) {
    Gathered gathered[N - 1];
    GatheredRow in[N - 1];
    for_rows(rows, begin, end, [&](const auto& at, std::int64_t n) {
      for (std::int64_t first = 0; first < n; first += step) {
        const std::int64_t count = std::min(step, n - first);
        for (std::size_t k = 0; k + 1 < N; ++k) {
          const Steps steps{plan.strides[k + 1][inner - 1], plan.strides[k + 1][inner]};
          in[k] = gathered[k].rows(sources[k], at[k + 1] + first * steps.row, steps, count, columns);
        }
        row(at[0] + first * columns, count * columns, in);
      }
    });
  });
}

template void gathered_rows(const LoopPlan<3>&, const std::array<RowSource, 2>&, GatheredFunction);
template void gathered_rows(const LoopPlan<4>&, const std::array<RowSource, 3>&, GatheredFunction);

}  // namespace lucid::kernels
