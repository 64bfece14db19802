#include "bench/case.hpp"

#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include <nlohmann/json.hpp>

namespace bench {
namespace {

using lucid::Dims3;

std::string text(const Dims3& values) {
  std::string out = std::to_string(values[0]);
  if (values[1] == values[0] && values[2] == values[0]) return out;
  return out + "x" + std::to_string(values[1]) + "x" + std::to_string(values[2]);
}

double volume(const Dims3& sizes) {
  return static_cast<double>(sizes[0]) * static_cast<double>(sizes[1]) * static_cast<double>(sizes[2]);
}

double elements(const lucid::Shape& shape) {
  return static_cast<double>(lucid::checked_numel("bench", shape));
}

// A tensor of that shape that takes no memory.
lucid::Tensor shape_only(const lucid::Shape& shape) {
  return lucid::alias(lucid::zeros({}), shape, lucid::Strides::filled(shape.size(), 0), 0);
}

ConvCase parsed(const std::string& group, const nlohmann::json& entry) {
  static const std::set<std::string> known = {
      "op",     "batch",   "in",     "out",      "side",          "kernel",
      "stride", "padding", "groups", "dilation", "output_padding"};
  for (const auto& [key, value] : entry.items())
    lucid::check(known.contains(key), "shapes.json", "\"", key, "\" in ", entry.dump(), " is not known");
  ConvCase c;
  c.group = group;
  c.op = entry.at("op").get<std::string>();
  lucid::check(c.op == "conv3d" || c.op == "conv_transpose3d", "shapes.json", "op \"", c.op,
               "\" is not known; use conv3d or conv_transpose3d");
  const auto read = [&](const char* key, auto& value) {
    if (entry.contains(key)) entry.at(key).get_to(value);
  };
  read("batch", c.batch), read("in", c.in), read("out", c.out), read("groups", c.groups);
  read("side", c.side), read("kernel", c.kernel), read("stride", c.stride), read("padding", c.padding);
  read("output_padding", c.output_padding), read("dilation", c.dilation);
  return c;
}

// The names between the commas, when all of them are groups.
std::set<std::string> named_groups(const nlohmann::ordered_json& shapes, const std::string& filter) {
  std::set<std::string> names;
  std::istringstream in(filter);
  for (std::string name; std::getline(in, name, ',');) {
    if (!shapes.contains(name)) return {};
    names.insert(name);
  }
  return names;
}

std::regex compiled(const std::string& filter) try {
  return std::regex(filter);
} catch (const std::regex_error& error) {
  lucid::raise("bench", "\"", filter,
               "\" is neither a list of groups nor a regular expression: ", error.what());
}

}  // namespace

const char* name_of(Pass pass) {
  switch (pass) {
    case Pass::forward: return "forward";
    case Pass::backward_data: return "backward-data";
    default: return "backward-weights";
  }
}

std::string ConvCase::name() const {
  std::ostringstream name;
  name << batch << ' ' << in << '>' << out << ", " << text(side) << ", k" << text(kernel) << " s"
       << text(stride) << " p" << text(padding) << " op" << text(output_padding) << " g" << groups << " d"
       << text(dilation);
  return name.str();
}

lucid::Shape ConvCase::input_shape() const { return {batch, in, side[0], side[1], side[2]}; }

lucid::Shape ConvCase::weight_shape() const {
  return {transposed() ? in : out, (transposed() ? out : in) / groups, kernel[0], kernel[1], kernel[2]};
}

lucid::ops::ConvGeometry ConvCase::geometry() const {
  const lucid::Tensor input = shape_only(input_shape()), weight = shape_only(weight_shape());
  if (transposed())
    return lucid::ops::conv_transpose_geometry<3>(op, input, weight, {},
                                                  {.stride = stride,
                                                   .padding = padding,
                                                   .output_padding = output_padding,
                                                   .dilation = dilation,
                                                   .groups = groups});
  return lucid::ops::conv_geometry<3>(
      op, input, weight, {}, {.stride = stride, .padding = padding, .dilation = dilation, .groups = groups});
}

lucid::Shape ConvCase::output_shape() const {
  const lucid::ops::ConvGeometry g = geometry();
  const Dims3& sizes = transposed() ? g.x : g.y;
  return {batch, out, sizes[0], sizes[1], sizes[2]};
}

double ConvCase::flops() const {
  return 2.0 * static_cast<double>(batch) * volume(geometry().y) * elements(weight_shape());
}

double ConvCase::bytes() const {
  return 4.0 * (elements(input_shape()) + elements(weight_shape()) + elements(output_shape()));
}

nlohmann::json to_request(const ConvCase& c) {
  return {{"op", c.op},
          {"input", c.input_shape().to_vector()},
          {"weight", c.weight_shape().to_vector()},
          {"output", c.output_shape().to_vector()},
          {"stride", c.stride},
          {"padding", c.padding},
          {"output_padding", c.output_padding},
          {"dilation", c.dilation},
          {"groups", c.groups}};
}

std::vector<ConvCase> read_cases(const std::string& path, const std::string& filter) {
  std::ifstream file(path);
  lucid::check(file.good(), "bench", "cannot read ", path);
  const auto shapes = nlohmann::ordered_json::parse(file);
  const std::set<std::string> groups = named_groups(shapes, filter);
  const std::regex pattern = compiled(groups.empty() ? filter : "");
  std::vector<ConvCase> cases;
  for (const auto& [group, entries] : shapes.items())
    for (const auto& entry : entries) {
      const ConvCase c = parsed(group, entry);
      const bool wanted = groups.empty() ? std::regex_search(group + " " + c.op + " " + c.name(), pattern)
                                         : groups.contains(group);
      if (wanted) cases.push_back(c);
    }
  lucid::check(!cases.empty(), "bench", "no shape of ", path, " fits \"", filter, "\"");
  return cases;
}

}  // namespace bench
