#pragma once
// Products of the rows of few samples with a large row-major weight, which is read or written once, as it
// lies: general products pack more than they multiply. For float and double; rows and weight lie densely.

#include <vector>

#include "lucid/tensor.hpp"

namespace lucid::direct {

/// Samples of multiply_long() at most, and of multiply_few() where it is the faster.
inline constexpr std::int64_t kFewSamples = 8;

/// y (samples, channels) = rows (samples, n) @ weight (channels, n)^T + bias, which may be null.
template <class T>
void multiply_long(const T* rows, const T* weight, const T* bias, T* y, std::int64_t samples,
                   std::int64_t channels, std::int64_t n);

/// The same for many samples, whose rows are those of the channels and voxels of x (samples, channels, d, h,
/// w) in any layout.
template <class T>
void multiply_panels(const Tensor& x, const T* weight, const T* bias, T* y, std::int64_t channels);

/// rows (samples, n) = y (samples, channels) @ weight (channels, n) + start: a row, padded to whole vectors
/// (kLanes), or empty for zeros. Of few samples, and of more.
template <class T>
void multiply_few(const T* y, const T* weight, T* rows, std::int64_t samples, std::int64_t channels,
                  std::int64_t n, const std::vector<T>& start);
template <class T>
void multiply_short(const T* y, const T* weight, T* rows, std::int64_t samples, std::int64_t channels,
                    std::int64_t n, const std::vector<T>& start);

/// weight (channels, n) = y (samples, channels)^T @ rows (samples, n).
template <class T>
void multiply_samples(const T* y, const T* rows, T* weight, std::int64_t samples, std::int64_t channels,
                      std::int64_t n);

}  // namespace lucid::direct
