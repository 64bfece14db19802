#pragma once
// JSON of the adaptive poolings' options. For .cpp files only.

#include "ops/json_options.hpp"
#include "ops/pool.hpp"

namespace lucid {

// An integer or null, or an array of N of them.
template <std::size_t N>
void to_json(nlohmann::json& out, const OutputSize<N>& sizes) {
  out = nlohmann::json::array();
  for (const auto& size : sizes) out.push_back(size ? nlohmann::json(*size) : nlohmann::json(nullptr));
}
template <std::size_t N>
void from_json(const nlohmann::json& in, OutputSize<N>& sizes) {
  if (in.is_array() && in.size() != N) throw Error(str(in.size(), " sizes given; 1 or ", N, " are required"));
  for (std::size_t i = 0; i < N; ++i) {
    const nlohmann::json& size = in.is_array() ? in[i] : in;
    sizes[i] = size.is_null() ? std::optional<std::int64_t>() : ops::read_integer(size);
  }
}

namespace ops {

template <std::size_t N>
struct AdaptiveAvgOptions {
  OutputSize<N> output_size = 1;
};
template <std::size_t N>
struct AdaptiveMaxOptions {
  OutputSize<N> output_size = 1;
  bool return_indices = false;
};

template <std::size_t N>
void to_json(nlohmann::json& out, const AdaptiveAvgOptions<N>& options) {
  out = {{"output_size", options.output_size}};
}
template <std::size_t N>
void from_json(const nlohmann::json& in, AdaptiveAvgOptions<N>& options) {
  detail::read_option(in, "output_size", options.output_size);
}
template <std::size_t N>
void to_json(nlohmann::json& out, const AdaptiveMaxOptions<N>& options) {
  out = {{"output_size", options.output_size}, {"return_indices", options.return_indices}};
}
template <std::size_t N>
void from_json(const nlohmann::json& in, AdaptiveMaxOptions<N>& options) {
  detail::read_option(in, "output_size", options.output_size);
  detail::read_option(in, "return_indices", options.return_indices);
}

}  // namespace ops
}  // namespace lucid
