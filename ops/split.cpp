// split and chunk. One node for all parts: its gradient is put together in one pass.

#include "autograd/record.hpp"
#include "ops/join.hpp"
#include "ops/json_options.hpp"
#include "ops/region.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"

namespace lucid {
namespace {

using autograd::Backward;
using ops::Region;

// JSON: an integer (the size of each part) or a list (their sizes).
struct Sections {
  std::int64_t size = 0;
  std::optional<std::vector<std::int64_t>> list;
};

void to_json(nlohmann::json& out, const Sections& sections) {
  if (sections.list)
    out = *sections.list;
  else
    out = sections.size;
}

void from_json(const nlohmann::json& in, Sections& sections) {
  if (in.is_array())
    sections.list = ops::read_integers(in);
  else
    sections.size = ops::read_integer(in);
}

// `shape` and `sizes` are the input's shape and the parts' sizes; no options of the op.
struct SplitOptions {
  Sections split_size_or_sections;
  std::int64_t dim = 0;
  Shape shape = {};
  std::vector<std::int64_t> sizes = {};
};
LUCID_OPTIONS(SplitOptions, split_size_or_sections, dim)

struct ChunkOptions {
  std::int64_t chunks = 1;
  std::int64_t dim = 0;
  Shape shape = {};
  std::vector<std::int64_t> sizes = {};
};
LUCID_OPTIONS(ChunkOptions, chunks, dim)

template <class Options>
Tensors join_parts(const Backward<Options>& b) {
  const Options& o = b.options;
  const std::size_t axis = normalize_axis("split", o.dim, o.shape.size());
  DType dtype = f32;
  for (const Tensor& grad : b.grads)
    if (grad.defined()) dtype = grad.dtype();
  Tensors parts = b.grads;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].defined()) continue;
    Shape shape = o.shape;
    shape[axis] = o.sizes[i];
    parts[i] = zeros(shape, dtype);
  }
  return {cat(parts, o.dim)};
}

std::size_t split_axis(std::string_view op, const Tensor& input, std::int64_t dim) {
  check(input.defined(), op, "the tensor is undefined");
  check(input.dim() > 0, op, "a tensor of rank 0 has no dim ", dim);
  return normalize_axis(op, dim, input.shape().size());
}

Tensors parts_of(const Tensor& input, std::size_t axis, const std::vector<std::int64_t>& sizes) {
  Tensors out;
  Region region = Region::all(input.shape());
  for (const std::int64_t size : sizes) {
    region.lengths[axis] = size;
    out.push_back(region.of(input));
    region.starts[axis] += size;
  }
  return out;
}

// As in PyTorch, an axis of size 0 is cut into as many parts as asked for; nothing but this bounds their
// number.
constexpr std::int64_t kMostEmptyParts = 1 << 16;

// A size-0 axis still has one, empty, part.
std::vector<std::int64_t> even_sizes(std::int64_t total, std::int64_t size) {
  std::vector<std::int64_t> sizes;
  for (std::int64_t left = total; left > 0; left -= std::min(left, size))
    sizes.push_back(std::min(left, size));
  if (sizes.empty()) sizes.push_back(0);
  return sizes;
}

}  // namespace

Tensors split(const Tensor& input, std::int64_t split_size, std::int64_t dim) {
  const autograd::OpTimer timer("split");
  const std::size_t axis = split_axis("split", input, dim);
  check(split_size > 0 || (split_size == 0 && input.shape()[axis] == 0), "split", "split_size ", split_size,
        " is not positive, and axis ", axis, " has size ", input.shape()[axis]);
  const auto sizes = even_sizes(input.shape()[axis], split_size);
  const Tensors out = parts_of(input, axis, sizes);
  autograd::record_all("split", out, std::span(&input, 1), {},
                       SplitOptions{{split_size, std::nullopt}, dim, input.shape(), sizes},
                       join_parts<SplitOptions>);
  return out;
}

Tensors split(const Tensor& input, const std::vector<std::int64_t>& split_sizes, std::int64_t dim) {
  const autograd::OpTimer timer("split");
  const std::size_t axis = split_axis("split", input, dim);
  check(!split_sizes.empty(), "split", "no sizes given");
  std::int64_t total = 0;
  for (const std::int64_t size : split_sizes) {
    check(size >= 0, "split", "size ", size, " is negative");
    total = checked_add("split", "sizes", total, size);
  }
  check(total == input.shape()[axis], "split", "the sizes ", nlohmann::json(split_sizes).dump(),
        " add up to ", total, ", axis ", axis, " has size ", input.shape()[axis]);
  const Tensors out = parts_of(input, axis, split_sizes);
  autograd::record_all("split", out, std::span(&input, 1), {},
                       SplitOptions{{0, split_sizes}, dim, input.shape(), split_sizes},
                       join_parts<SplitOptions>);
  return out;
}

Tensors chunk(const Tensor& input, std::int64_t chunks, std::int64_t dim) {
  const autograd::OpTimer timer("chunk");
  const std::size_t axis = split_axis("chunk", input, dim);
  check(chunks > 0, "chunk", "chunks ", chunks, " is not positive");
  const std::int64_t total = input.shape()[axis];
  check(total > 0 || chunks <= kMostEmptyParts, "chunk", "chunks ", chunks, " of an axis of size 0; at most ",
        kMostEmptyParts, " empty parts are made");
  const auto sizes = total == 0 ? std::vector<std::int64_t>(static_cast<std::size_t>(chunks), 0)
                                : even_sizes(total, total / chunks + (total % chunks != 0));
  const Tensors out = parts_of(input, axis, sizes);
  autograd::record_all("chunk", out, std::span(&input, 1), {},
                       ChunkOptions{chunks, dim, input.shape(), sizes}, join_parts<ChunkOptions>);
  return out;
}

namespace ops {

Op split_op() {
  return {.name = "split",
          .doc = "views of parts of input along dim, of one size or of the sizes listed",
          .inputs = {{"input"}},
          .defaults = default_options<SplitOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            const auto o = read_options<SplitOptions>("split", options);
            const Sections& sections = o.split_size_or_sections;
            return sections.list ? lucid::split(in[0], *sections.list, o.dim)
                                 : lucid::split(in[0], sections.size, o.dim);
          },
          .samples = [](Generator& g) -> std::vector<Sample> {
            return {{{normal({5, 2}, g)}, {{"split_size_or_sections", 2}}},
                    {{normal({2, 5, 2, 1, 2}, g)}, {{"split_size_or_sections", {1, 4}}, {"dim", 1}}},
                    {{normal({2, 3}, g)}, {{"split_size_or_sections", {0, 3}}, {"dim", -1}}},
                    {{normal({2, 3, 2}, g)}, {{"split_size_or_sections", 4}, {"dim", -2}}},
                    {{normal({6}, g)}, {{"split_size_or_sections", 3}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({4}, f64)}, {{"split_size_or_sections", {1, 2}}}, "add up to 3"},
                    {{ones({4}, f64)}, {{"split_size_or_sections", {5, -1}}}, "size -1"},
                    {{ones({4}, f64)}, {{"split_size_or_sections", 0}}, "split_size 0"}};
          },
          .linear_in = {0}};
}

Op chunk_op() {
  return {.name = "chunk",
          .doc = "views of at most chunks parts of input along dim",
          .inputs = {{"input"}},
          .defaults = default_options<ChunkOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            const auto o = read_options<ChunkOptions>("chunk", options);
            return lucid::chunk(in[0], o.chunks, o.dim);
          },
          .samples = [](Generator& g) -> std::vector<Sample> {
            return {{{normal({5, 2}, g)}, {{"chunks", 2}}},
                    {{normal({2, 4}, g)}, {{"chunks", 4}, {"dim", 1}}},
                    {{normal({2}, g)}, {{"chunks", 3}}},
                    {{normal({2, 5, 2}, g)}, {{"chunks", 3}, {"dim", -2}}},
                    {{ones({2, 0}, i64)}, {{"chunks", 3}, {"dim", 1}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({4}, f64)}, {{"chunks", 0}}, "chunks 0"},
                    {{ones({4}, f64)}, {{"chunks", 2}, {"dim", 1}}, "dim 1"},
                    {{ones({0}, f64)}, {{"chunks", std::int64_t{1} << 40}}, "size 0"}};
          },
          .linear_in = {0}};
}

}  // namespace ops
}  // namespace lucid
