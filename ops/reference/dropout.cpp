// Dropout: the element that comes at place i in channels-last order is dropped when the i-th random word of
// the seed's stream, as a number in [0, 1), lies below p.

#include "lucid/random.hpp"
#include "ops/reference/definitions.hpp"
#include "ops/reference/spatial.hpp"

namespace lucid::reference {
namespace {

using nlohmann::json;

// Place of `index` when the axis of channels, 1, runs fastest; row-major below rank 3.
std::uint64_t channels_last_place(const Shape& shape, const Index& index) {
  std::int64_t place = 0;
  const std::size_t rank = shape.size();
  for (std::size_t i = 0; i < rank; ++i)
    if (rank < 3 || i != 1) place = place * shape[i] + index[i];
  return static_cast<std::uint64_t>(rank < 3 ? place : place * shape[1] + index[1]);
}

// 0, or 1 / (1 - p), for each element of `shape`.
Array noise(const Shape& shape, const json& o) {
  const double p = o["p"];
  if (!o["training"] || p == 0) return Array(shape, 1);
  if (p == 1) return Array(shape, 0);
  const Generator generator(static_cast<std::uint64_t>(o["seed"].get<std::int64_t>()));
  return generate(shape, [&](const Index& index) {
    const std::uint64_t place = channels_last_place(shape, index);
    const double drawn = generator.block(place / 4)[place % 4] * 0x1p-32;
    return drawn < p ? 0 : 1 / (1 - p);
  });
}

// One factor for the last `axes` axes together.
Arrays channels_dropped(const Array& input, std::size_t axes, const json& o) {
  const Array factors = noise(joined(leading_sizes(input.shape, axes), Shape::filled(axes, 1)), o);
  return {zip(input, factors, [](double x, double factor) { return x * factor; })};
}

}  // namespace

void define_dropout(Definitions& d) {
  d["dropout"] = [](const Arrays& in, const json& o) -> Arrays {
    return {zip(in[0], noise(in[0].shape, o), [](double x, double factor) { return x * factor; })};
  };
  d["dropout1d"] = [](const Arrays& in, const json& o) { return channels_dropped(in[0], 1, o); };
  d["dropout2d"] = [](const Arrays& in, const json& o) {
    return channels_dropped(in[0], in[0].rank() - 2, o);  // rank 3 is (N, C, L)
  };
  d["dropout3d"] = [](const Arrays& in, const json& o) { return channels_dropped(in[0], 3, o); };
}

}  // namespace lucid::reference
