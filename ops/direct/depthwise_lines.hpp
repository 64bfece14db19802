#pragma once
// How depthwise convolutions with a stride of 1 rearrange lines of channels-last voxels.

#include "lucid/cpu.hpp"
#include "ops/direct/plane_window.hpp"
#include "ops/direct/rows.hpp"

namespace lucid::direct {

/// A line of some channels is [register of channels][voxel][channel], with zeros around its voxels and behind
/// the last channel.
struct DepthwiseLines {
  std::int64_t margin, voxels;  ///< zeros in front of a line's voxels, and all that it holds
  std::int64_t size;            ///< voxels of a line that are packed
  std::int64_t channels;        ///< in a voxel
  std::int64_t block;           ///< channels of a line

  /// Elements from one register of channels to the next.
  std::int64_t register_step() const { return voxels * register_lanes<float>(); }
  std::int64_t line_size() const { return voxels * block; }
  /// Of a block that begins at channel `first`.
  std::int64_t channels_from(std::int64_t first) const { return std::min(block, channels - first); }
  std::int64_t blocks() const { return (channels + block - 1) / block; }
  /// A line that begins at `from`, of the block that begins at channel `first`.
  void pack(const float* from, std::int64_t first, float* to) const;
};

/// Lines of x of a stride of 1, of as many channels as leave room in a core's cache for what a few lines of y
/// meet. A line can be read for padded_voxels() of y at all its taps.
DepthwiseLines lines_of_x(const ops::ConvProblem& problem);

/// Taps of a line, neighbours, that share the loads of their voxels.
inline constexpr std::int64_t kLeastLineTaps = 3, kMostLineTaps = 7;

/// Runs Kernel<taps> for the processor's registers.
template <template <int> class Kernel, class Work>
void run_for_taps(std::int64_t taps, const Work& work) {
  switch (taps) {
    case 3: return run_for_registers<Kernel<3>>(work);
    case 4: return run_for_registers<Kernel<4>>(work);
    case 5: return run_for_registers<Kernel<5>>(work);
    case 6: return run_for_registers<Kernel<6>>(work);
    default: return run_for_registers<Kernel<7>>(work);
  }
}

/// Voxels of y that are summed together.
inline constexpr std::int64_t kDepthwiseVoxels = 8;
inline std::int64_t padded_voxels(const ops::ConvProblem& problem) {
  return padded_to_lanes(problem.geometry.y[2], kDepthwiseVoxels);
}

}  // namespace lucid::direct
