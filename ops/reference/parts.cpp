// Parts of arrays, arrays joined, margins; and one_hot.

#include <algorithm>
#include <nlohmann/json.hpp>

#include "ops/reference/definitions.hpp"

namespace lucid::reference {
namespace {

using nlohmann::json;
using Positions = std::vector<std::int64_t>;

// first, first + step, ... below end.
Positions range(std::int64_t first, std::int64_t end, std::int64_t step = 1) {
  Positions out;
  for (std::int64_t at = first; at < end; at += step) out.push_back(at);
  return out;
}

std::int64_t wrapped(std::int64_t index, std::int64_t size) { return index < 0 ? index + size : index; }

Array with_axis(Array input, std::size_t axis) {
  input.shape.insert(axis, 1);
  return input;
}

// The slice at `index` of `axis`, without that axis.
Array slice_at(const Array& input, std::size_t axis, std::int64_t index) {
  Array out = picked(input, axis, {wrapped(index, input.shape[axis])});
  out.shape.erase(axis);
  return out;
}

// ---- parts ----

// As Python's start:end:step reads a sequence of `size` elements.
Positions slice_of(std::int64_t size, const json& start, const json& end, const json& step) {
  const auto bound = [size](const json& given, std::int64_t otherwise) {
    return given.is_null() ? otherwise : std::clamp<std::int64_t>(wrapped(given, size), 0, size);
  };
  return range(bound(start, 0), bound(end, size), step.is_null() ? 1 : step.get<std::int64_t>());
}

bool names_positions(const json& entry) { return entry.is_array(); }

// [1, 0, -1] as it is, [true, false, true] as the positions that are true.
Positions positions_of(const json& list, std::int64_t size) {
  Positions out;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (!list[i].is_boolean())
      out.push_back(list[i].get<std::int64_t>() + (list[i] < 0 ? size : 0));
    else if (list[i].get<bool>())
      out.push_back(static_cast<std::int64_t>(i));
  }
  return out;
}

// Element k of the picked axis is at position lists[a][k] of each axis axes[a]. It takes the place of the
// axes when they are neighbours, else it leads.
Array picked_together(const Array& input, const std::vector<std::size_t>& axes,
                      const std::vector<Positions>& lists) {
  std::size_t count = 1;
  for (const Positions& list : lists) count = list.size() == 1 ? count : list.size();
  const bool neighbours = axes.back() - axes.front() + 1 == axes.size();
  Shape shape = input.shape;
  for (std::size_t a = axes.size(); a-- > 0;) shape.erase(axes[a]);
  const std::size_t place = neighbours ? axes.front() : 0;
  shape.insert(place, static_cast<std::int64_t>(count));
  return generate(shape, [&](const Index& at) {
    Index from = at;
    const auto k = static_cast<std::size_t>(at[place]);
    from.erase(from.begin() + static_cast<std::ptrdiff_t>(place));
    for (std::size_t a = 0; a < axes.size(); ++a)
      from.insert(from.begin() + static_cast<std::ptrdiff_t>(axes[a]),
                  lists[a][lists[a].size() == 1 ? 0 : k]);
    return input.at(from);
  });
}

Array getitem(const Array& input, const json& index) {
  json entries = index.is_array() ? index : json::array({index});
  const auto names_axis = [](const json& entry) {
    return entry.is_number() || names_positions(entry) || entry.contains("slice");
  };
  const auto named = static_cast<std::size_t>(std::count_if(entries.begin(), entries.end(), names_axis));
  Array out = input;
  std::size_t axis = 0;
  std::vector<std::size_t> axes;
  std::vector<Positions> lists;
  for (const json& entry : entries) {
    if (entry.is_null()) {
      out = with_axis(out, axis++);
    } else if (entry.is_number()) {
      out = slice_at(out, axis, entry);
    } else if (names_positions(entry)) {
      lists.push_back(positions_of(entry, out.shape[axis]));
      axes.push_back(axis++);
    } else if (entry.contains("ellipsis")) {
      axis += input.rank() - named;
    } else {
      const json& s = entry["slice"];
      out = picked(out, axis, slice_of(out.shape[axis], s[0], s[1], s[2]));
      ++axis;
    }
  }
  return axes.empty() ? out : picked_together(out, axes, lists);
}

Arrays parts_of(const Array& input, std::size_t axis, const Positions& sizes) {
  Arrays out;
  std::int64_t at = 0;
  for (const std::int64_t size : sizes) {
    out.push_back(picked(input, axis, range(at, at + size)));
    at += size;
  }
  return out;
}

// Parts of `size`, the last of what is left.
Arrays even_parts(const Array& input, std::size_t axis, std::int64_t size) {
  Positions sizes;
  for (const std::int64_t first : range(0, input.shape[axis], size))
    sizes.push_back(std::min(size, input.shape[axis] - first));
  return parts_of(input, axis, sizes.empty() ? Positions{0} : sizes);
}

Arrays split(const Array& input, const json& sections, std::size_t axis) {
  return sections.is_array() ? parts_of(input, axis, sections) : even_parts(input, axis, sections);
}

// Parts of ceil(size / chunks), as many as it takes; an axis of size 0 has as many empty ones as asked for.
Arrays chunk(const Array& input, std::int64_t chunks, std::size_t axis) {
  const std::int64_t size = input.shape[axis];
  if (size == 0) return parts_of(input, axis, Positions(static_cast<std::size_t>(chunks), 0));
  return even_parts(input, axis, (size + chunks - 1) / chunks);
}

// ---- joins, margins ----

// Tensors of shape (0) fit anything and count for nothing.
Array cat(const Arrays& all, std::int64_t dim) {
  Arrays parts;
  for (const Array& array : all)
    if (array.shape != Shape{0}) parts.push_back(array);
  if (parts.empty()) return all[0];
  const std::size_t axis = axis_of(dim, parts[0].rank());
  Shape shape = parts[0].shape;
  shape[axis] = 0;
  for (const Array& part : parts) shape[axis] += part.shape[axis];
  return generate(shape, [&](Index index) {
    auto part = parts.begin();
    while (index[axis] >= part->shape[axis]) index[axis] -= (part++)->shape[axis];
    return part->at(index);
  });
}

Array stack(const Arrays& all, std::int64_t dim) {
  const std::size_t axis = axis_of(dim, all[0].rank() + 1);
  Arrays parts;
  for (const Array& array : all) parts.push_back(with_axis(array, axis));
  return cat(parts, static_cast<std::int64_t>(axis));
}

// The position among `size` elements that is shown at `at`, which may lie outside; -1 for none.
std::int64_t shown_at(std::int64_t at, std::int64_t size, const std::string& mode) {
  if (at >= 0 && at < size) return at;
  if (mode == "replicate") return at < 0 ? 0 : size - 1;
  if (mode == "reflect") return at < 0 ? -at : 2 * (size - 1) - at;
  if (mode == "circular") return at < 0 ? at + size : at - size;
  return -1;
}

// A negative margin crops; what is circular goes round what the crop leaves.
Array padded(const Array& input, std::size_t axis, std::int64_t before, std::int64_t after,
             const std::string& mode, double value) {
  const bool crops_first = mode == "circular";
  const Array source = crops_first ? picked(input, axis,
                                            range(std::max<std::int64_t>(0, -before),
                                                  input.shape[axis] + std::min<std::int64_t>(0, after)))
                                   : input;
  if (crops_first) before = std::max<std::int64_t>(0, before), after = std::max<std::int64_t>(0, after);
  Shape shape = source.shape;
  shape[axis] += before + after;
  return generate(shape, [&](Index index) {
    index[axis] = shown_at(index[axis] - before, source.shape[axis], mode);
    return index[axis] < 0 ? value : source.at(index);
  });
}

Array pad(Array out, const json& options) {
  const Positions counts = options["pad"];
  const double value = options["value"].is_null() ? 0.0 : options["value"].get<double>();
  for (std::size_t i = 0; i + 1 < counts.size(); i += 2)
    out = padded(out, out.rank() - 1 - i / 2, counts[i], counts[i + 1], options["mode"], value);
  return out;
}

Array one_hot(const Array& input, std::int64_t num_classes) {
  Shape shape = input.shape;
  shape.push_back(num_classes);
  return generate(shape, [&](Index index) {
    const std::int64_t label = index.back();
    index.pop_back();
    return input.at(index) == static_cast<double>(label);
  });
}

Array slice_backward(const Array& grad, const Shape& sizes, const Positions& starts, const Positions& steps) {
  Array out(sizes);
  for_each_index(grad.shape, [&](const Index& index) {
    Index to = index;
    for (std::size_t i = 0; i < to.size(); ++i) to[i] = starts[i] + steps[i] * index[i];
    out.at(to) = grad.at(index);
  });
  return out;
}

}  // namespace

void define_parts(Definitions& d) {
  d["slice"] = [](const Arrays& in, const json& o) -> Arrays {
    const std::size_t axis = axis_of(o["dim"], in[0].rank());
    return {picked(in[0], axis, slice_of(in[0].shape[axis], o["start"], o["end"], o["step"]))};
  };
  d["select"] = [](const Arrays& in, const json& o) -> Arrays {
    return {slice_at(in[0], axis_of(o["dim"], in[0].rank()), o["index"])};
  };
  d["narrow"] = [](const Arrays& in, const json& o) -> Arrays {
    const std::size_t axis = axis_of(o["dim"], in[0].rank());
    const std::int64_t given =
        in[1].defined() ? static_cast<std::int64_t>(in[1].values[0]) : o["start"].get<std::int64_t>();
    const std::int64_t start = wrapped(given, in[0].shape[axis]);
    return {picked(in[0], axis, range(start, start + o["length"].get<std::int64_t>()))};
  };
  d["getitem"] = [](const Arrays& in, const json& o) -> Arrays { return {getitem(in[0], o["index"])}; };
  d["split"] = [](const Arrays& in, const json& o) -> Arrays {
    return split(in[0], o["split_size_or_sections"], axis_of(o["dim"], in[0].rank()));
  };
  d["chunk"] = [](const Arrays& in, const json& o) -> Arrays {
    return chunk(in[0], o["chunks"], axis_of(o["dim"], in[0].rank()));
  };
  d["slice_backward"] = [](const Arrays& in, const json& o) -> Arrays {
    return {slice_backward(in[0], integers_of(o["sizes"]), o["starts"], o["steps"])};
  };
  d["cat"] = [](const Arrays& in, const json& o) -> Arrays { return {cat(in, o["dim"])}; };
  d["stack"] = [](const Arrays& in, const json& o) -> Arrays { return {stack(in, o["dim"])}; };
  d["pad"] = [](const Arrays& in, const json& o) -> Arrays { return {pad(in[0], o)}; };
  d["one_hot"] = [](const Arrays& in, const json& o) -> Arrays {
    std::int64_t classes = o["num_classes"];
    for (const double label : in[0].values)
      if (o["num_classes"] == -1) classes = std::max(classes, static_cast<std::int64_t>(label) + 1);
    return {one_hot(in[0], classes)};
  };
}

}  // namespace lucid::reference
