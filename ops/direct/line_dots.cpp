#include "ops/direct/line_dots.hpp"

#include <cstring>
#include <utility>

#include "lucid/cpu.hpp"

namespace lucid::direct {
namespace {

template <int Rows, int Channels>
struct AddDots {
  template <int Bytes>
  [[gnu::always_inline]] static void run(const LineDots& p) {
    typedef float Lanes __attribute__((vector_size(Bytes)));
    constexpr std::int64_t lanes = Bytes / static_cast<std::int64_t>(sizeof(float));
    Lanes sums[Rows][Channels];
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 8
      for (int c = 0; c < Channels; ++c) sums[r][c] = Lanes{};
    for (std::int64_t plane = 0; plane < p.planes; ++plane)
      for (std::int64_t line = 0; line < p.lines; ++line) {
        const float* const x = p.x + plane * p.x_plane + line * p.x_line;
        const float* const y = p.y + plane * p.y_plane + line * p.y_line;
        const float* rows[Rows];
#pragma GCC unroll 8
        for (int r = 0; r < Rows; ++r) rows[r] = x + p.offsets[r];
        for (std::int64_t w = 0; w < p.voxels; w += lanes) {
          Lanes factors[Channels];
#pragma GCC unroll 8
          for (int c = 0; c < Channels; ++c) std::memcpy(&factors[c], y + c * p.y_channel + w, sizeof(Lanes));
#pragma GCC unroll 8
          for (int r = 0; r < Rows; ++r) {
            Lanes row;
            std::memcpy(&row, rows[r] + w, sizeof(Lanes));
#pragma GCC unroll 8
            for (int c = 0; c < Channels; ++c) sums[r][c] += row * factors[c];
          }
        }
      }
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 8
      for (int c = 0; c < Channels; ++c) p.totals[c * p.totals_step + r] += sum_of<Bytes>(sums[r][c]);
  }

  template <int Bytes, class Lanes>
  [[gnu::always_inline]] static double sum_of(const Lanes& lanes) {
    typedef float Four __attribute__((vector_size(16)));
    Four parts[Bytes / 16];
    std::memcpy(parts, &lanes, sizeof(Lanes));
#pragma GCC unroll 4
    for (int i = 1; i < Bytes / 16; ++i) parts[0] += parts[i];
    return (static_cast<double>(parts[0][0]) + static_cast<double>(parts[0][1])) +
           (static_cast<double>(parts[0][2]) + static_cast<double>(parts[0][3]));
  }
};

using AddFunction = void (*)(const LineDots&);
using AddFunctions = std::array<AddFunction, kDotRows[0]>;

template <int Channels, int... Rows>
constexpr AddFunctions functions_of(std::integer_sequence<int, Rows...>) {
  return {[](const LineDots& p) { run_for_registers<AddDots<Rows + 1, Channels>>(p); }...};
}
template <int Channels>
constexpr AddFunctions kFunctions = functions_of<Channels>(
    std::make_integer_sequence<int, static_cast<int>(kDotRows[static_cast<std::size_t>(Channels - 1)])>());

}  // namespace

void add_line_dots(const LineDots& dots, std::int64_t rows, std::int64_t channels) {
  static constexpr std::array<const AddFunctions*, kDotChannels> kOfChannels = {
      &kFunctions<1>, &kFunctions<2>, &kFunctions<3>, &kFunctions<4>};
  (*kOfChannels[static_cast<std::size_t>(channels - 1)])[static_cast<std::size_t>(rows - 1)](dots);
}

}  // namespace lucid::direct
